"""The choice of a backend."""

import importlib.util
import json
import re
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from nervplay.bitstream import write_nerv
from nervplay.codec import NeuralVideo, open_nerv, pack
from nervplay.codec.official import open_official
from nervplay.decode import NativeDecoder, open_decoder, opening
from nervplay.decode import native_decoder as module
from nervplay.decode.cache import CachedDecoder
from nervplay.decode.cuda import engines
from nervplay.decode.cuda.decoder import CudaDecoder
from nervplay.decode.openvino import runtime
from nervplay.errors import CapabilityError, UnknownNameError, UsageError
from nervplay.models import build_model, resolve_preset
from nervplay.video.spec import VideoSpec

SPEC = VideoSpec(width=64, height=32, frame_count=6, rate=Fraction(24))
SAMPLE = Path(__file__).resolve().parents[3] / "samples" / "bunny-320x180.nerv"


def made(preset: str, folder: Path) -> NeuralVideo:
    entry, found = resolve_preset(preset)
    path = folder / "a.nerv"
    write_nerv(path, pack(build_model(entry.name, found.configure(64, 32, 6)), SPEC))
    return open_nerv(path)


def test_frames_are_kept_where_that_is_wished(tmp_path: Path) -> None:
    video = made("nerv-tiny", tmp_path)
    with open_decoder(video, device="cpu", cache_bytes=64 * 32 * 3) as decoder:
        assert isinstance(decoder, CachedDecoder)
        first = decoder.frame(2)
        np.testing.assert_array_equal(decoder.frame(2), first)
        assert decoder.kept_bytes == first.nbytes
    with pytest.raises(UsageError, match="-1 bytes of cache; give 0 or more"):
        open_decoder(video, cache_bytes=-1)


def test_auto_takes_the_kernels(tmp_path: Path) -> None:
    with open_decoder(made("hnerv-tiny", tmp_path), device="cpu", threads=np.int64(2)) as decoder:
        assert decoder.backend == "native"
        assert "2 threads" in decoder.backend_note


def test_auto_without_kernels_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(_: str | None) -> None:
        raise CapabilityError("the native kernels are not available: no C compiler is here")

    monkeypatch.setattr(module, "kernels", none)
    video = made("hnerv-tiny", tmp_path)
    with open_decoder(video, device="cpu") as decoder:
        assert decoder.backend == "torch-fast"
        assert "no C compiler" in decoder.backend_note
    for options in ({"backend": "native"}, {"precision": "int8"}):
        with pytest.raises(CapabilityError, match="no C compiler"):
            open_decoder(video, device="cpu", **options)  # type: ignore[arg-type]


def test_auto_with_a_network_the_kernels_cannot_run(tmp_path: Path) -> None:
    video = made("ffnerv-tiny", tmp_path)
    with open_decoder(video, device="cpu") as fast, open_decoder(video, device="cpu", backend="torch") as exact:
        assert fast.backend == "torch-fast"
        assert "steers the network" in fast.backend_note
        # It rounds neighbours to float16, which turns a last bit into 1/2048.
        assert np.abs(fast.float_frame(2) - exact.float_frame(2)).max() < 1e-3


@pytest.mark.parametrize("preset", ["hinerv-tiny", "srnerv-tiny"])
def test_auto_with_a_network_of_matrix_products(tmp_path: Path, preset: str) -> None:
    video = made(preset, tmp_path)
    with open_decoder(video, device="cpu") as fast, open_decoder(video, device="cpu", backend="torch") as exact:
        assert fast.backend == "native"
        assert np.abs(fast.float_frame(2) - exact.float_frame(2)).max() < 1e-4
        fast.set_precision("int8")
        whole = re.search(r"13 to 15-bit inputs .* in (\d+) of (\d+) convolutions", fast.backend_note)
        assert whole is not None
        assert int(whole[1]) > int(whole[2]) / 3, "all steps: two layers of each, and a convolution without integers"
        assert 0 < np.abs(fast.float_frame(2) - exact.float_frame(2)).max() < 1e-2


def test_torch_fast_is_the_reference_but_for_rounding(tmp_path: Path) -> None:
    video = made("snerv-t-tiny", tmp_path)
    with (
        open_decoder(video, device="cpu", backend="torch-fast", threads=1) as fast,
        open_decoder(video, device="cpu", backend="torch", threads=1) as exact,
    ):
        assert np.abs(fast.float_frame(2) - exact.float_frame(2)).max() < 1e-5
        fast.set_precision("bf16")
        assert 0 < np.abs(fast.float_frame(2) - exact.float_frame(2)).max() < 0.1


def test_openvino_is_taken_only_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    video = made("hnerv-tiny", tmp_path)
    runtime.openvino.cache_clear()
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "openvino", None)
        with pytest.raises(CapabilityError, match=r"pip install nervplay\[cpu\]"):
            open_decoder(video, device="cpu", backend="openvino")
        assert open_decoder(video, device="cpu").backend == "native"
    if importlib.util.find_spec("openvino") is None:
        pytest.skip("openvino is not installed: pip install nervplay[cpu]")
    options = {"device": "cpu", "threads": 1}
    with open_decoder(video, backend="openvino", **options) as decoder, open_decoder(video, **options) as other:
        assert (decoder.backend, other.backend) == ("openvino", "native")
        assert np.abs(decoder.float_frame(2) - other.float_frame(2)).max() < 1e-5


def test_refusals(tmp_path: Path) -> None:
    video = made("hnerv-tiny", tmp_path)
    with pytest.raises(UnknownNameError, match="unknown backend 'natve'; did you mean native"):
        open_decoder(video, backend="natve")
    with pytest.raises(UnknownNameError, match="precision"):
        open_decoder(video, precision="fp33")
    for threads in (0, 1025, 1 << 32, 1.5):
        with pytest.raises(UsageError, match=f"{threads} threads .* give 1 to 1024"):
            open_decoder(video, threads=threads)  # type: ignore[arg-type]


def test_a_gpu_that_is_not_there(tmp_path: Path) -> None:
    video = made("hnerv-tiny", tmp_path)
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(CapabilityError, match="no CUDA device 'cuda' here"):
        open_decoder(video, backend="cuda")
    with pytest.raises(CapabilityError, match="backend cuda runs on a GPU only; use --device cuda"):
        open_decoder(video, backend="cuda", device="cpu")
    with open_decoder(video) as decoder:
        assert decoder.backend == "native"


def test_a_gpu_that_does_not_work_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver that is too old, or a GPU that this PyTorch was not built for."""
    video = made("hnerv-tiny", tmp_path)
    reason = "no kernel image is available for execution on the device"
    monkeypatch.setattr(opening, "resolve_device", lambda name: torch.device("cuda" if name == "auto" else name))
    monkeypatch.setattr(opening, "why_not_usable", lambda _: reason)
    for options in ({}, {"backend": "torch"}):
        with open_decoder(video, **options) as decoder:  # type: ignore[arg-type]
            assert decoder.device == "cpu"
            assert f"no GPU: {reason}" in decoder.backend_note
    with open_decoder(video, backend="native") as decoder:
        assert "no GPU" not in decoder.backend_note, "it was asked for"
    with pytest.raises(CapabilityError, match=r"cuda cannot be used: no kernel image .*; use --device cpu"):
        open_decoder(video, device="cuda")


def test_int8_goes_to_the_processor_where_the_gpu_cannot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The decoder of the GPU, on a "GPU" that is the CPU, without Triton."""
    video = made("hnerv-tiny", tmp_path)
    cpu = torch.device("cpu")
    monkeypatch.setattr(opening, "_place", lambda *_: (torch.device("cuda"), ""))
    monkeypatch.setattr(opening, "device_memory", lambda _: 1 << 34)
    monkeypatch.setattr(
        opening, "CudaDecoder", lambda model, spec, **options: CudaDecoder(model, spec, **options | {"device": cpu})
    )
    monkeypatch.setattr(engines, "why_no_triton", lambda: "Triton is not installed (pip install 'nervplay[gpu]')")
    with open_decoder(video, precision="int8") as decoder:
        assert (decoder.backend, decoder.precision) == ("native", "int8")
        assert "not on the GPU: integer products on a GPU need Triton" in decoder.backend_note
    with open_decoder(video) as decoder:
        assert decoder.backend == "cuda"
    with pytest.raises(CapabilityError, match="need Triton"):
        open_decoder(video, device="cuda", precision="int8")


def test_precisions_of_gpus_are_refused_on_the_processor(tmp_path: Path) -> None:
    video = made("hnerv-tiny", tmp_path)
    for precision in ("tf32", "fp16"):
        with pytest.raises(CapabilityError, match=f"precision {precision} is for GPUs only; use fp32"):
            open_decoder(video, device="cpu", backend="native", precision=precision)
        with pytest.raises(CapabilityError, match=f"precision {precision} .* use fp32"):
            open_decoder(video, device="cpu", precision=precision)


def decibels(one: np.ndarray, other: np.ndarray) -> float:
    return float(-10 * np.log10(np.square(one.clip(0, 1) - other.clip(0, 1)).mean()))


@pytest.mark.parametrize("index", [0, 66])
def test_the_sample(index: int) -> None:
    with (
        open_decoder(SAMPLE, device="cpu") as decoder,
        open_decoder(SAMPLE, device="cpu", backend="torch") as reference,
    ):
        exact = reference.float_frame(index)
        assert np.abs(decoder.float_frame(index) - exact).max() < 1e-4
        decoder.set_precision("int8")
        # Of 32 dB against the source, 57 dB against float32 costs 0.014 dB.
        assert decibels(decoder.float_frame(index), exact) > 57


@pytest.mark.usefixtures("trusted")
def test_the_published_video(golden: Path) -> None:
    folder = golden / "hnerv_bunny_quant_vid"
    model = open_official(folder / "quant_vid.pth", json.loads((folder / "config.json").read_text())["flags"])
    spec = VideoSpec(width=1280, height=640, frame_count=132, rate=Fraction(25))
    with NativeDecoder(model, spec) as decoder:
        stored = np.load(folder / "io.npz")
        exact = decoder.float_frame(0)
        np.testing.assert_allclose(exact[None, :, ::4, ::4], stored["out_0_stride4"], atol=1e-4, rtol=0)
        decoder.set_precision("int8")
        assert decibels(decoder.float_frame(0), exact) > 57
