"""The resume file: everything a stopped fit needs to go on as if it had never stopped.

A safetensors file, written beside its name and renamed, so a kill at any time leaves the old one or the new one:

    __metadata__     format, version, position (epoch, step), identity (below) as JSON, CRC-32 of all of it
    model.*          the state dict, the encoder included
    optimiser.*      moments and step count of every parameter, by its name
    epoch.*          losses and PSNRs of the epoch's finished steps
    mean.*           running mean of the weights, where the recipe keeps one
    mask.*           of the parameters that the fit has pruned, by their names
    rng.*            states of PyTorch's generators
    course.*         rollbacks, plateau, seconds, and the states that the fit can go back to

The identity is what must be the same in both runs: architecture, configuration, recipe and a fingerprint of the clip;
and of the weights that the fit starts from, where a network that was fitted before goes on in phases alone.
"""

import hashlib
import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from nervplay.bitstream import atomic_write
from nervplay.errors import CheckpointError
from nervplay.models.base import VideoModel
from nervplay.training.frames import ClipFrames
from nervplay.training.recipes import Recipe
from nervplay.video.spec import VideoSpec

__all__ = ["ResumeState", "identity_of", "read_resume_file", "resume_path", "write_resume_file"]

FORMAT = "nervplay-resume"
VERSION = "2"
SAMPLED_FRAMES = 8


@dataclass(frozen=True, kw_only=True)
class ResumeState:
    """A fit between two steps.

    Args:
        epoch: the current epoch, counted from 0.
        step: finished steps of it, at least 1.
        tensors: by the names of the resume file, on the CPU.
    """

    epoch: int
    step: int
    tensors: Mapping[str, Tensor]


def resume_path(target: Path) -> Path:
    """Return where the resume file of a fit that ends in `target` lies: beside it, with ".resume" added."""
    return target.with_name(f"{target.name}.resume")


def identity_of(model: VideoModel, recipe: Recipe, spec: VideoSpec, frames: ClipFrames) -> dict[str, Any]:
    """Return what two runs must share so that one can go on with the state of the other, JSON-plain.

    Args:
        model: the network, before the first step; its weights count where the recipe has phases alone.
        recipe: how it is fitted.
        spec: the clip.
        frames: its frames; some of them, evenly spread, are hashed.
    """
    last = spec.frame_count - 1
    digest = hashlib.sha256()
    for index in sorted({last * i // (SAMPLED_FRAMES - 1) for i in range(SAMPLED_FRAMES)}):
        digest.update(frames.image(index).numpy().data)
    start = None if recipe.epochs else _fingerprint(model.stored_state())
    return {
        "architecture": model.architecture,
        "config_version": model.config.version,
        "config": model.config.to_config(),
        "recipe": recipe.to_json(),
        "source": {**spec.to_json(), "frames_sha256": digest.hexdigest()},
        "start_sha256": start,
    }


def _fingerprint(tensors: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of names and values, in hex digits."""
    digest = hashlib.sha256()
    for name, value in tensors.items():
        digest.update(name.encode())
        digest.update(value.cpu().numpy().tobytes())
    return digest.hexdigest()


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (dotted name, value) of every leaf of nested dicts."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _leaves(item, f"{name}.{key}" if name else key)
    else:
        yield name, value


def _checksum(facts: Mapping[str, str], tensors: Mapping[str, Tensor]) -> str:
    """Return the CRC-32 of the metadata and of every tensor with name, type and shape, in eight hex digits."""
    crc = zlib.crc32(json.dumps(facts, sort_keys=True).encode())
    for name, tensor in sorted(tensors.items()):
        crc = zlib.crc32(f"{name} {tensor.dtype} {list(tensor.shape)}".encode(), crc)
        crc = zlib.crc32(tensor.numpy().tobytes(), crc)
    return f"{crc:08x}"


def write_resume_file(path: Path, state: ResumeState, identity: Mapping[str, Any]) -> None:
    """Write a resume file, replacing an older one in one go.

    Args:
        path: see `resume_path`.
        state: what to keep.
        identity: see `identity_of`.

    Raises:
        OutputError: the folder cannot be written, or the disk is full.
    """
    tensors = {name: value.contiguous() for name, value in state.tensors.items()}
    facts = {
        "format": FORMAT,
        "version": VERSION,
        "position": json.dumps([state.epoch, state.step]),
        "identity": json.dumps(identity, sort_keys=True),
    }
    atomic_write(path, save(tensors, {**facts, "crc32": _checksum(facts, tensors)}), overwrite=True)


def read_resume_file(path: Path, identity: Mapping[str, Any]) -> ResumeState:
    """Read a resume file that was written by a run of the same identity.

    Args:
        path: see `resume_path`.
        identity: of the run that wants to go on.

    Raises:
        CheckpointError: not a resume file, a damaged one, one of another version, or one of another run: the message
            names the first field that differs.
    """
    start_again = "use --overwrite without --resume to start again"
    try:
        with safe_open(path, framework="pt") as file:
            facts = dict(file.metadata() or {})
            if facts.get("format") != FORMAT:
                raise CheckpointError(f"{path} is not a resume file of nervplay; {start_again}")
            if facts.get("version") != VERSION:
                raise CheckpointError(f"{path} has version {facts.get('version')}, not {VERSION}; {start_again}")
            # copied: the tensors of safe_open lie in the file, which the next save replaces
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 - not a dict
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} cannot be read as a resume file ({error}); {start_again}") from error
    if facts.pop("crc32", None) != _checksum(facts, tensors):
        raise CheckpointError(f"{path} is damaged: its checksum does not match; {start_again}")
    _check_identity(path, json.loads(facts["identity"]), json.loads(json.dumps(identity)))
    epoch, step = json.loads(facts["position"])
    return ResumeState(epoch=epoch, step=step, tensors=tensors)


def _check_identity(path: Path, found: Any, wanted: Any) -> None:
    """Raise `CheckpointError` naming the first field in which two identities differ."""
    was, now = dict(_leaves(found)), dict(_leaves(wanted))
    for name in [*now, *(was.keys() - now.keys())]:
        if was.get(name) != now.get(name):
            raise CheckpointError(
                f"{path} belongs to another run: its {name} is {was.get(name)}, not {now.get(name)}; "
                "run with the settings it was started with, or use --overwrite without --resume to start again"
            )
