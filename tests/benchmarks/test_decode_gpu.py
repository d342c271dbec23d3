"""The benchmark of decoding on a GPU, as far as it runs without one: what fails in it takes nothing else along."""

from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
import torch

from nervplay.decode.cuda.decoder import CudaDecoder
from nervplay.models import VideoModel, build_model, get_architecture
from nervplay.video.spec import VideoSpec

OPTIONS = Namespace(frames=2, rounds=1, tiles=False)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(Path(__file__).resolve().parents[2] / "benchmarks")
    import decode_gpu

    monkeypatch.setattr(decode_gpu, "GPU", torch.device("cpu"))
    monkeypatch.setattr(decode_gpu, "load", tiny)
    monkeypatch.setattr(decode_gpu.torch.cuda, "synchronize", lambda: None)
    return decode_gpu


def tiny(name: str) -> VideoModel:
    if name == "broken":
        raise MemoryError("no room")
    return build_model("nerv", get_architecture("nerv").presets["tiny"].configure(64, 48, 5)).eval()


def lacking(bench: Any, ways: dict[str, str]) -> type:
    """Return our ways on the CPU: the precisions in `ways` fail when they are opened, run or read."""

    class Way(bench.Ours):  # type: ignore[misc]
        def __init__(self, model: VideoModel, spec: VideoSpec, precision: str) -> None:
            self._fails = ways.get(precision)
            self._do("open")
            self.decoder = CudaDecoder(model, spec, device=torch.device("cpu"), precision=precision)

        def _do(self, what: str) -> None:
            if self._fails == what:
                raise RuntimeError(f"CUDA error in {what}\nCompile with ...")

        def run(self, index: int) -> object:
            self._do("run")
            return super().run(index)

        def floats(self, index: int) -> Any:
            self._do("read")
            return super().floats(index)

    return Way


def test_a_way_that_fails_is_a_line_and_the_others_are_measured(
    bench: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench, "Ours", lacking(bench, {"int8": "open", "fp16": "run", "bf16": "read"}))
    rows = [row.split("\t") for row in bench.measure("tiny", OPTIONS)]
    assert [row[1] for row in rows] == ["official", "official-ieee", "cuda fp32", "cuda tf32"]
    assert all(len(row) == len(bench.COLUMNS) for row in rows)
    said = [line for line in capsys.readouterr().out.splitlines() if "Error" in line]
    assert said == [
        "# tiny cuda int8: RuntimeError: CUDA error in open",
        "# tiny cuda fp16: RuntimeError: CUDA error in run",
        "# tiny cuda bf16: RuntimeError: CUDA error in read",
    ]


def test_a_network_that_fails_leaves_the_others_in_the_file(
    bench: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    target = tmp_path / "out.tsv"
    monkeypatch.setattr(bench, "Ours", lacking(bench, dict.fromkeys(bench.PRECISIONS, "open")))
    monkeypatch.setattr(bench, "why_not_usable", lambda _: None)
    monkeypatch.setattr(bench, "head_lines", lambda columns: ["\t".join(columns)])
    words = ["--models", "one,broken,other", "--frames", "2", "--rounds", "1", "--output", str(target)]
    monkeypatch.setattr("sys.argv", ["decode_gpu.py", *words])
    bench.main()
    rows = [line.split("\t")[:2] for line in target.read_text().splitlines()[1:]]
    assert rows == [[name, way] for name in ("one", "other") for way in ("official", "official-ieee")]
