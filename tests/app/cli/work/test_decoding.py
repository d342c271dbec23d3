"""What people see while a decoder is opened."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.cli.work import decoding


@pytest.fixture
def bars(monkeypatch: pytest.MonkeyPatch) -> list[list[float | str]]:
    """Every bar that is shown: its title, where it was, "gone" when it has been taken away."""
    shown: list[list[float | str]] = []

    @contextmanager
    def progress(title: str, total: int, unit: str) -> Iterator[Callable[[float], None]]:
        bar: list[float | str] = [f"{title}, {total} {unit}"]
        shown.append(bar)
        try:
            yield bar.append
        finally:
            bar.append("gone")

    monkeypatch.setattr(decoding, "progress", progress)
    return shown


def test_the_first_int8_shows_how_far_it_is(
    bars: list[list[float | str]], small_nerv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    decoding.open_logged(small_nerv, device="cpu").close()
    assert bars == []
    decoding.open_logged(small_nerv, device="cpu", precision="int8").close()
    (bar,) = bars
    steps = len(bar) - 2
    assert bar == [f"calibrating int8, {steps} steps", *range(1, steps + 1), "gone"]
    decoding.open_logged(small_nerv, device="cpu", precision="int8").close()
    assert len(bars) == 1, "the second one knows it"


def test_an_interrupted_calibration_leaves_nothing(
    bars: list[list[float | str]], small_nerv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    heard = decoding.CalibrationBar.__call__

    def interrupted(self: decoding.CalibrationBar, done: int, total: int) -> None:
        heard(self, done, total)
        if done == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(decoding.CalibrationBar, "__call__", interrupted)
    with pytest.raises(KeyboardInterrupt):
        decoding.open_logged(small_nerv, device="cpu", precision="int8")
    assert bars[0][1:] == [1, 2, 3, "gone"]
    assert not list(tmp_path.rglob("*.int8*"))
