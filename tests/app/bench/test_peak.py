"""The measured peak of the processor."""

from app.bench.peak import measure_peaks


def test_products_of_matrices(monkeypatch) -> None:
    monkeypatch.setattr("app.bench.peak._SECONDS", 0.05)
    monkeypatch.setattr("app.bench.peak._SIDES", {"cpu": 256})
    peaks = measure_peaks("cpu", 1)
    assert set(peaks) <= {"FP32", "BF16", "INT8"}
    assert 0.1 < peaks["FP32"] < 100_000
