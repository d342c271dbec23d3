"""A part of a long clip: one segment fitted by itself and kept as a small .nerv file until all can be joined.

A part is the unit of work of every engine: it can be done anywhere where the clip can be read, by a process that may
die. Its fit saves its state beside the part (`0003.resume`); a finished part (`0003.nerv`) is never fitted again.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from app.core.clips import source_record
from ffmpeg_bridge import open_source
from nervplay.bitstream import Audio, NervFile, clear_leftovers, peek_nerv, read_nerv, write_nerv
from nervplay.codec import Precision, pack
from nervplay.errors import CheckpointError
from nervplay.models import ModelConfig, get_architecture
from nervplay.training import Progress, Recipe, build_for_training, fit
from nervplay.video import FrameTransform, VideoSpec
from nervplay.video.spans import Span

__all__ = ["Part", "fingerprint_of", "fit_part", "is_done", "join_parts", "part_path", "parts_folder"]

_SAMPLED = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Part:
    """One segment to be fitted; plain values only, so that it can be sent to another process.

    Args:
        number: its place among the segments, from 0.
        span: its frames within the clip that is encoded.
        source: path of the clip, a video file or a folder of pictures.
        fingerprint: of the clip, see `fingerprint_of`.
        transform: how the clip is cut for this part: the frames that its network learns, crop and scale.
        architecture: registry name.
        config: its configuration; its number of frames is that of `span.known`.
        recipe: how it is fitted.
        precision: bits of weights and embeddings in the file.
        device: "auto", "cpu", "cuda" or "cuda:N".
        save_every: seconds between two saves of the fit's state.
        time_limit: seconds of training, None for no limit.
        frame_memory: bytes that the decoded frames may take in main memory; see `nervplay.training.fit`.
    """

    number: int
    span: Span
    source: str
    fingerprint: str
    transform: FrameTransform
    architecture: str
    config: ModelConfig
    recipe: Recipe
    precision: Precision
    device: str = "auto"
    save_every: float = 5.0
    time_limit: float | None = None
    frame_memory: int | None = None

    @property
    def facts(self) -> dict[str, Any]:
        """What a finished part says of itself, JSON-plain: two parts with equal facts are the same work."""
        return {
            "config": self.config.to_config(),
            "source": source_record(Path(self.source), self.transform),
            "recipe": {"training": self.recipe.to_json(), **asdict(self.precision), "clip": self.fingerprint},
        }


def fingerprint_of(source: Path) -> str:
    """Return 16 hex digits that tell clips apart: of size, head and tail of a file, or of names and sizes of pictures.

    Args:
        source: a video file or a folder of pictures.
    """
    digest = hashlib.sha256()
    if source.is_dir():
        for file in sorted(source.iterdir()):
            digest.update(f"{file.name} {file.stat().st_size}\n".encode())
    else:
        size = source.stat().st_size
        digest.update(f"{size}\n".encode())
        with source.open("rb") as stream:
            digest.update(stream.read(_SAMPLED))
            stream.seek(max(0, size - _SAMPLED))
            digest.update(stream.read(_SAMPLED))
    return digest.hexdigest()[:16]


def parts_folder(target: Path) -> Path:
    """Return the folder that keeps the parts of a target until it is written: clip.nerv.parts."""
    return target.with_name(target.name + ".parts")


def part_path(folder: Path, number: int) -> Path:
    """Return the file of a finished part."""
    return folder / f"{number:04}.nerv"


def is_done(folder: Path, part: Part) -> bool:
    """Whether a part lies finished in its folder.

    Raises:
        CheckpointError: a part of another run lies there.
        BitstreamError: a damaged one.
    """
    path = part_path(folder, part.number)
    if not path.exists():
        return False
    head = peek_nerv(path)
    found = {"config": dict(head.config), "source": dict(head.source), "recipe": dict(head.recipe)}
    for name, wanted in part.facts.items():
        if found[name] != wanted or head.architecture != part.architecture:
            raise CheckpointError(
                f"{path} belongs to another run: its {name} is another one; run with the settings it was started with, "
                "or use --overwrite without --resume to start again"
            )
    return True


def fit_part(
    folder: Path,
    part: Part,
    *,
    progress: Callable[[Progress], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> Path:
    """Fit a part and write its file; go on with its saved state, or return at once when it is finished.

    Args:
        folder: where parts and states lie; it exists.
        part: the work.
        progress: told how far the fit is.
        stop: asked after every step.

    Returns:
        The part's file.

    Raises:
        Interrupted: `stop` returned true; the state is saved.
        CheckpointError: a part or a state of another run lies in the folder.
        NervplayError: whatever opening the clip or fitting raises.
    """
    target = part_path(folder, part.number)
    if is_done(folder, part):
        return target
    state = target.with_suffix(".resume")
    for path in (target, state):  # what a killed worker was writing
        clear_leftovers(path)
    with open_source(Path(part.source)) as whole:
        clip = part.transform.apply(whole)
        model = build_for_training(part.architecture, part.config, part.recipe)
        fitted = fit(
            model,
            clip,
            part.recipe,
            device=part.device,
            resume=state,
            save_every=part.save_every,
            time_limit=part.time_limit,
            frame_memory=part.frame_memory,
            progress=progress,
            stop=stop,
        ).model
        facts = part.facts
        file = pack(fitted, clip.spec, precision=part.precision, source=facts["source"], recipe=facts["recipe"])
    write_nerv(target, file, overwrite=True)
    state.unlink(missing_ok=True)
    return target


def join_parts(
    folder: Path,
    parts: Sequence[Part],
    spec: VideoSpec,
    *,
    source: dict[str, Any],
    recipe: dict[str, Any],
    audio: Audio | None = None,
) -> NervFile:
    """Return one file of finished parts.

    Args:
        folder: where they lie.
        parts: all of them, in time order.
        spec: the whole clip.
        source: where the whole clip came from.
        recipe: how it was fitted.
        audio: its sound.

    Raises:
        BitstreamError: a damaged part.
    """
    common = parts[0].config.to_config()
    segments = []
    for part in parts:
        (segment,) = read_nerv(part_path(folder, part.number), late=True).segments
        config = {k: v for k, v in part.config.to_config().items() if v != common[k] and k != "frame_count"}
        segments.append(
            replace(
                segment,
                first_frame=part.span.first,
                frame_count=part.span.count,
                lead=part.span.lead,
                tail=part.span.tail,
                config=config,
            )
        )
    first = parts[0]
    return NervFile(
        video=spec,
        architecture=first.architecture,
        config_version=get_architecture(first.architecture).config.version,
        config=common | {"frame_count": spec.frame_count},
        segments=tuple(segments),
        source=source,
        recipe=recipe,
        audio=audio,
    )
