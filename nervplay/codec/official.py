"""Checkpoints of any official code become our networks, or our integers: the front door to `official_*`.

Whose a file is shows in the names of its tensors, which are read without loading it. The official command line supplies
what no file holds; each module says which flags its code takes.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from nervplay.bitstream.layout import StoredTensor
from nervplay.codec.official_boost import open_boost
from nervplay.codec.official_enerv import open_enerv
from nervplay.codec.official_ffnerv import open_ffnerv
from nervplay.codec.official_hinerv import open_hinerv, open_hinerv_bitstream
from nervplay.codec.official_hinerv_zip import is_hinerv_zip
from nervplay.codec.official_load import texts_in
from nervplay.codec.official_nerv import open_hnerv_quantised, open_nerv
from nervplay.codec.official_pnerv import open_pnerv
from nervplay.codec.official_snerv import open_snerv, open_snerv_quantised
from nervplay.errors import CheckpointError
from nervplay.models.base import ModelConfig, VideoModel
from nervplay.video.source import FrameSource

__all__ = ["QuantisedCheckpoint", "family_of", "open_official", "open_quantised"]


class QuantisedCheckpoint(NamedTuple):
    """A quantised official checkpoint: architecture name, configuration, and its tensors under our names.

    Packed as they are (`nervplay.codec.pack(tensors=...)`), frames stay equal.
    """

    architecture: str
    config: ModelConfig
    tensors: Mapping[str, StoredTensor]


_QUANTISED_HNERV, _QUANTISED_SNERV = "hnerv, quantised", "snerv, quantised"

_MARKS = (
    # First match wins: later marks also occur in the files of earlier families.
    ("pnerv", r"diff_exc_layer\.bias|dec_exc_layers\.0\.conv\.conv\.bias"),
    ("ffnerv", r"video_(grid|field)\.0"),
    ("e-nerv", r"t_branch\.0\.weight"),
    ("hnerv-boost", r"stem_t\.0\.weight"),
    ("hinerv", r"decoder\.blocks\.0\..*"),
    ("snerv", r"decoder\.\d+\.main\.0\.weight"),
    ("hnerv", r"decoder\.0\.conv\.downconv\.(bias|weight)"),
    ("nerv", r"stem\.0\.(weight|bias|weight_orig)"),
)
"""By family: a tensor name that its official code writes, prefixes of wrappers gone."""

_OPENERS: Mapping[str, Callable[[Path, str, FrameSource | None], VideoModel]] = {
    "pnerv": open_pnerv,
    "ffnerv": open_ffnerv,
    "e-nerv": open_enerv,
    "hnerv-boost": open_boost,
    "hinerv": lambda path, arguments, _source: open_hinerv(path, arguments),
    "snerv": open_snerv,
    _QUANTISED_SNERV: open_snerv,
    "hnerv": open_nerv,
    _QUANTISED_HNERV: open_nerv,
    "nerv": open_nerv,
}


def family_of(path: str | Path) -> str:
    """Return which official code wrote a checkpoint: a key of `_OPENERS`.

    Args:
        path: .pth, .bin, .safetensors or .zip file.

    Raises:
        MissingInputError: no such file.
        CheckpointError: a file that cannot be read, or of none of the codes that are known.
    """
    path = Path(path)
    if path.suffix == ".safetensors" or is_hinerv_zip(path):
        return "hinerv"
    texts = texts_in(path)
    if {"embed", "quant", "scale"} <= texts:
        return _QUANTISED_SNERV if "norm" in texts else _QUANTISED_HNERV
    names = {text.removeprefix("module.").removeprefix("_orig_mod.").replace("blocks.0.", "", 1) for text in texts}
    for family, mark in _MARKS:
        if any(re.fullmatch(mark, name) for name in names | texts):
            return family
    near = ", ".join(sorted(text for text in texts if "." in text)[:3]) or "no tensors"
    known = ", ".join(family for family, _ in _MARKS)
    raise CheckpointError(f"{path} is of no official code that is known (it has {near}); known are {known}")


def open_official(path: str | Path, arguments: str, source: FrameSource | None = None) -> VideoModel:
    """Open a checkpoint of an official code; whose it is shows in its tensors.

    Args:
        path: the file.
        arguments: the official command line it was made with, as one string.
        source: the clip it was fitted to; needed where a checkpoint holds no embeddings.

    Returns:
        The network in eval mode on the CPU.

    Raises:
        MissingInputError: no such file.
        CheckpointError: a file that cannot be read, is of no known code, or does not fit the arguments.
        UsageError: arguments that the official code or this one does not take, a source that is missing or unfit.
    """
    return _OPENERS[family_of(path)](Path(path), arguments, source)


def open_quantised(path: str | Path, arguments: str) -> QuantisedCheckpoint | None:
    """Open a quantised checkpoint and keep its integers; None for one that holds floats.

    Args:
        path: `quant_vid.pth` of the HNeRV and SNeRV codes, or a bitstream zip of the HiNeRV code.
        arguments: the official command line it was made with, as one string.

    Raises:
        MissingInputError: no such file.
        CheckpointError: a file that cannot be read, is of no known code, or does not fit the arguments.
        UsageError: arguments that the official code or this one does not take.
    """
    path = Path(path)
    family = family_of(path)
    if family == _QUANTISED_HNERV:
        return QuantisedCheckpoint(*open_hnerv_quantised(path, arguments))
    if family == _QUANTISED_SNERV:
        return QuantisedCheckpoint(*open_snerv_quantised(path, arguments))
    if is_hinerv_zip(path):
        return QuantisedCheckpoint("hinerv", *open_hinerv_bitstream(path, arguments))
    return None
