"""`nervplay bench`: table, JSON, result file, refusals."""

import json
from pathlib import Path
from typing import Any

import pytest

from app.bench.child import run_job


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs run in this process, and peaks are measured briefly; tests/app/bench/test_study.py has the processes."""

    def run(job: dict[str, Any], *_told: object) -> dict[str, Any]:
        return json.loads(json.dumps(run_job(json.loads(json.dumps(job)))))

    monkeypatch.setattr("app.bench.study.run_child", run)
    monkeypatch.setattr("app.bench.child._say", lambda _words: None)
    monkeypatch.setattr("app.bench.peak._SECONDS", 0.0)
    monkeypatch.setattr("app.bench.peak._SIDES", {"cpu": 64})


def test_table_and_file(nervplay, small_nerv: Path, small_clip: Path, tmp_path: Path) -> None:
    words = ["--precision", "fp32", "--backend", "torch,native", "--frames", "3", "--source", small_clip]
    ran = nervplay("bench", small_nerv, *words, "--device", "cpu", "-o", tmp_path)
    assert ran.code == 0
    heads, *rows = ran.out.splitlines()
    assert heads.split()[:6] == ["device", "backend", "precision", "arithmetic", "fps", "x"]
    assert [row.split()[:4] for row in rows[:2]] == [
        ["cpu", "torch", "fp32", "FP32"],
        ["cpu", "native", "fp32", "FP32"],
    ]
    assert rows[0].split()[-4:-2] == ["identical", "identical"]
    assert "peak of cpu" in ran.out
    assert "GB" not in rows[0]
    target = tmp_path / f"{small_nerv.stem}.tsv"
    head, _, columns, first, *_ = target.read_text().splitlines()
    assert head.startswith("# nervplay ")
    assert columns.split("\t")[-1] == "% of peak"
    assert len(first.split("\t")) == len(columns.split("\t"))
    assert str(target) in ran.err


def test_json(nervplay, small_nerv: Path) -> None:
    ran = nervplay(
        "bench",
        small_nerv,
        "--device",
        "cpu",
        "--precisions",
        "bf16",
        "--backends",
        "native",
        "--frames",
        "2",
        "--json",
    )
    assert ran.code == 0
    told = json.loads(ran.out)
    (row,) = told["rows"]
    assert (row["precision"], row["arithmetic"]) == ("bf16", "FP32"), "said as it is computed"
    assert 80 < row["fp32_db"][1] <= row["fp32_db"][0], "the reference was decoded for comparison"
    assert row["source_db"] is None
    assert told["peaks"]["cpu"]["FP32"] > 0


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--precision", "fp33"], 2, "unknown precision 'fp33'"),
        (["--backend", "auto"], 2, "unknown backend 'auto'"),
        (["--threads", "0"], 2, "1<=x<=1024"),
        (["--device", "gpu"], 2, "not a device"),
        (["-o", "a.csv"], 2, "must end with .tsv"),
        (["--device", "cpu", "--precision", "fp16"], 6, "nothing to measure: no backend has any of these precisions"),
    ],
)
def test_refused(nervplay, *, small_nerv: Path, arguments: list[str], code: int, words: str) -> None:
    ran = nervplay("bench", small_nerv, *arguments)
    assert ran.code == code
    assert words in ran.err
