"""What users may choose, by name or number: one list each, free of the code behind it.

So command lines and windows can offer and check a choice before anything heavy is loaded.
"""

from collections.abc import Mapping
from typing import NamedTuple

__all__ = [
    "BACKENDS",
    "CARRIERS",
    "DEVICES",
    "EFFORTS",
    "EXPORT_CRF",
    "EXPORT_SUFFIXES",
    "GPU_PRECISIONS",
    "MOST_THREADS",
    "PIXEL_FORMATS",
    "PRECISIONS",
    "RAW_FORMATS",
    "SPEEDS",
    "CrfScale",
]

PRECISIONS = ("fp32", "bf16", "int8", "tf32", "fp16")
"""Names of a decoder's arithmetic, for all backends; a backend that lacks one raises `CapabilityError`."""
GPU_PRECISIONS = ("tf32", "fp16")
"""Those that no processor has."""

BACKENDS = ("auto", "cuda", "native", "openvino", "torch-fast", "torch")
"""Names of decoders: "torch" is the reference, eager PyTorch as the papers ran it; "torch-fast" the same with channels
innermost; "native" our own kernels on the CPU; "openvino" that library, where it is installed; "cuda" graphs and our
own kernels on a GPU; "auto" the fastest that can do it, which is never "openvino"."""

DEVICES = ("auto", "cpu", "cuda")
"""Names of where a network runs; of several GPUs each has its own, "cuda:1"."""

MOST_THREADS = 1024
"""More than processors have cores; the system refuses a process that asks for very many, or ends it."""

SPEEDS = ("exact", "fast", "compiled")
"""Ways to compute a step of a fit, the official one first: see `nervplay.training.speed`."""

EFFORTS: Mapping[str, float] = {"fast": 0.125, "balanced": 0.5, "best": 1.0}
"""Share of the paper's epochs, by the name of an amount of work: see `nervplay.training.efforts`."""

PIXEL_FORMATS = ("yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p10le")
"""Pixel formats that decoded frames become for other programs, by FFmpeg's names."""
RAW_FORMATS = (*PIXEL_FORMATS, "rgb24")
"""Those of uncompressed video."""

CARRIERS = ("mkv", "y4m", "nut", "raw")
"""Formats of uncompressed video in a pipe."""


class CrfScale(NamedTuple):
    """An encoder's scale of quality, from 0, the best: what an export takes unless told, and the worst."""

    usual: int
    most: int


EXPORT_CRF: Mapping[str, CrfScale] = {
    "libx264": CrfScale(18, 51),
    "libx264rgb": CrfScale(18, 51),
    "libx265": CrfScale(20, 51),
    "libsvtav1": CrfScale(24, 63),
    "libvpx-vp9": CrfScale(24, 63),
}
"""By encoder. Finer than their own defaults: an export shows what the network does, not what the encoder does to it."""

EXPORT_SUFFIXES = (".mp4", ".mov", ".mkv", ".webm", ".gif", ".png")
"""Endings of export files; .png is a sequence of pictures, its name holds their number: frame_%05d.png."""
