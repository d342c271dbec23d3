"""Networks to store, boxes to bend, and hypothesis' view of both."""

import json
import runpy
import zlib
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from nervplay.bitstream import Audio, NervFile, QuantisedTensor, Segment, encode_nerv
from nervplay.video.spec import VideoSpec

GOLDEN_FILES = Path(__file__).resolve().parents[2] / "golden" / "nerv" / "v1"


def make_tensor(rng: np.random.Generator, shape: tuple[int, ...], bits: int, kind: str = "laplace") -> QuantisedTensor:
    """A tensor of `bits` bits whose codes look like weights, with one scale per output channel."""
    top = (1 << bits) - 1
    noise = rng.laplace(0, 1, shape) if kind == "laplace" else rng.normal(0, 1.4, shape)
    codes = np.clip(np.rint(top / 2 + noise * top / 10), 0, top).astype(np.uint8 if bits <= 8 else np.uint16)
    scale_shape = (shape[0], *[1] * (len(shape) - 1)) if shape else ()
    return QuantisedTensor(
        codes=codes,
        bits=bits,
        minimum=rng.normal(0, 0.5, scale_shape).astype(np.float16),
        scale=rng.uniform(0.001, 0.01, scale_shape).astype(np.float16),
    )


def make_file(segments: int = 1, **changes: Any) -> NervFile:
    """A small network with every kind of tensor in each segment."""
    rng = np.random.default_rng(7)
    parts = []
    for number in range(segments):
        tensors = {
            "stem.weight": make_tensor(rng, (16, 8, 3, 3), 8),
            "stem.bias": rng.normal(0, 1, 16).astype(np.float32),
            "embedding": make_tensor(rng, (6, 4, 2, 3), 6, "gauss"),
            "zeros": QuantisedTensor(
                codes=np.zeros((5, 7), np.uint8), bits=4, minimum=np.float32(0), scale=np.float32(1)
            ),
            "one": make_tensor(rng, (1,), 12),
            "wide": make_tensor(rng, (40, 9), 16, "gauss"),
        }
        parts.append(Segment(first_frame=number * 6, frame_count=6, tensors=tensors))
    fields: dict[str, Any] = {
        "video": VideoSpec(width=64, height=36, frame_count=6 * segments, rate=Fraction(30000, 1001)),
        "architecture": "hnerv",
        "config_version": 1,
        "config": {"strides": [5, 4, 2], "width": 1.5, "act": "gelu"},
        "segments": tuple(parts),
        "source": {"name": "clip.mp4"},
        "recipe": {"epochs": 3},
        "audio": Audio(data=b"sound" * 9, container="mp4", codec="aac"),
        "poster": b"RIFF....WEBP",
    }
    return NervFile(**fields | changes)


def same_content(a: NervFile, b: NervFile) -> bool:
    """Whether two files say the same in all that they hold."""

    def plain(file: NervFile) -> Any:
        tensors = []
        for segment in file.segments:
            for name, t in segment.tensors.items():
                arrays = (t.codes, t.minimum, t.scale) if isinstance(t, QuantisedTensor) else (t,)
                bits = t.bits if isinstance(t, QuantisedTensor) else 32
                parts = [(str(np.asarray(x).dtype), np.shape(x), np.asarray(x).tobytes()) for x in arrays]
                tensors.append((segment.first_frame, segment.frame_count, name, bits, parts))
        head = (
            file.video,
            file.architecture,
            file.config_version,
            dict(file.config),
            dict(file.source),
            dict(file.recipe),
        )
        return tensors, head, file.audio, file.poster

    return bool(plain(a) == plain(b))


_MUTANTS = runpy.run_path(str(Path(__file__).resolve().parents[3] / "tools" / "nerv_mutants.py"))
take_box, make_box, box_of, mutant = (_MUTANTS[name] for name in ("take_box", "make_box", "box_of", "mutant"))


def change_head(data: bytes, change: Callable[[dict[str, Any]], None]) -> bytes:
    """Return the file with a changed head, checksums repaired."""
    header, chunks = take_box(data)
    head = json.loads(zlib.decompress(chunks["head.z"]))
    change(head)
    chunks["head.z"] = zlib.compress(json.dumps(head).encode())
    return bytes(make_box(header, chunks))


@st.composite
def tensors(draw: st.DrawFn) -> QuantisedTensor | np.ndarray:
    """Any tensor that the format holds: every width, rank and kind of scale, codes from flat to constant."""
    shape = tuple(draw(st.lists(st.integers(1, 5), max_size=6)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    if draw(st.integers(0, 5)) == 0:
        return rng.normal(0, 1, shape).astype(np.float32)
    bits = draw(st.integers(1, 16))
    low = draw(st.integers(0, (1 << bits) - 1))
    high = draw(st.integers(low, (1 << bits) - 1))
    codes = rng.integers(low, high + 1, shape).astype(np.uint8 if bits <= 8 else np.uint16)
    scale_shape = draw(st.sampled_from([(), shape, tuple(1 for _ in shape), (shape[:1] + (1,) * (len(shape) - 1))]))
    dtype = draw(st.sampled_from([np.float16, np.float32]))
    minimum, scale = (rng.normal(0, 1, scale_shape).astype(dtype) for _ in range(2))
    return QuantisedTensor(codes=np.asarray(codes), bits=bits, minimum=minimum, scale=scale)


@pytest.fixture(scope="session")
def tool() -> SimpleNamespace:
    """The functions above, for test modules, which are imported one by one and cannot import this file."""
    return SimpleNamespace(
        make_tensor=make_tensor, make_file=make_file, same_content=same_content, take_box=take_box, make_box=make_box,
        box_of=box_of, mutant=mutant, change_head=change_head, tensors=tensors, golden_files=GOLDEN_FILES,
    )  # fmt: skip


@pytest.fixture(scope="session")
def small() -> bytes:
    """A small file with every kind of chunk, as bytes."""
    return encode_nerv(make_file())
