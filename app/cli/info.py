"""`nervplay info`: what a .nerv file says about itself, read from its head without decoding the weights."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from app.cli.command import command as nervplay_command
from app.cli.options import NERV, json_option
from app.cli.output import emit_fields, emit_json
from app.cli.words import human_bytes
from nervplay.bitstream import NervHeader, peek_nerv

__all__ = ["command", "describe", "fact_lines"]


@nervplay_command("info", examples=("nervplay info clip.nerv", "nervplay info clip.nerv --json"), codes=(2, 3))
@click.argument("file", type=NERV)
@json_option
def command(file: Path, as_json: bool) -> None:
    """Show what FILE holds: clip, network, cost, rate, sections, sound, recipe, source, hash of the weights.

    Only the head is read; a flipped bit in the weights is found when they are decoded.
    """
    header = peek_nerv(file)
    if as_json:
        emit_json({"path": str(file), **describe(header)})
    else:
        emit_fields(fact_lines(describe(header)), title=str(file))


def describe(header: NervHeader) -> dict[str, Any]:
    """Return all that `info` shows, JSON-plain.

    Rates count the whole file; `bits_per_pixel_video` leaves sound and still out. `gflops_per_frame` is None for a
    network that this version does not know.
    """
    from app.cli.work.info import gflops_per_frame

    video, sections = header.video, dict(header.section_bytes)
    video_bytes = header.file_bytes - sections.get("audio", 0) - sections.get("poster", 0)
    bits: Counter[int] = Counter()
    for segment in header.segments:
        for tensor in segment.tensors:
            bits[tensor.bits] += tensor.count
    return {
        "format_version": ".".join(map(str, header.version)),
        "writer": header.writer,
        "video": video.to_json(),
        "duration_s": float(video.duration),
        "architecture": header.architecture,
        "config_version": header.config_version,
        "config": dict(header.config),
        "parameters": header.weight_count,
        "parameters_by_bits": {str(width): count for width, count in sorted(bits.items())},
        "gflops_per_frame": gflops_per_frame(header),
        "segments": [
            {"first_frame": part.first_frame, "frame_count": part.frame_count, "lead": part.lead, "tail": part.tail}
            for part in header.segments
        ],
        "file_bytes": header.file_bytes,
        "bits_per_pixel": 8 * header.file_bytes / video.pixels,
        "bits_per_pixel_video": 8 * video_bytes / video.pixels,
        "bit_rate_kbps": 8 * header.file_bytes / 1000 / float(video.duration),
        "section_bytes": sections,
        "audio": {"codec": header.audio_codec, "container": header.audio_container} if header.audio_codec else None,
        "source": dict(header.source),
        "recipe": dict(header.recipe),
        "weights_sha256": header.weights_sha256,
    }


def fact_lines(facts: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """Yield what `describe` gives as names and values for people."""
    video, sections = facts["video"], facts["section_bytes"]
    rate = video["rate"][0] / video["rate"][1]
    size, count = f"{video['width']}x{video['height']}", video["frame_count"]
    yield "clip", f"{size}, {count} frames, {rate:.6g} frames/s, {facts['duration_s']:.2f} s"
    yield "colour", " ".join(f"{name} {value}" for name, value in video["colour"].items())
    aspect = video["sample_aspect"]
    yield "sample aspect", "" if aspect[0] == aspect[1] else f"{aspect[0]}:{aspect[1]}"
    audio = facts["audio"]
    yield "sound", f"{audio['codec']} in {audio['container']}, {human_bytes(sections['audio'])}" if audio else "none"
    yield "network", f"{facts['architecture']}, configuration version {facts['config_version']}"
    yield "segments", _cut(facts["segments"])
    yield "parameters", f"{facts['parameters']:,}"
    yield "stored with", ", ".join(f"{n:,} at {width} bits" for width, n in facts["parameters_by_bits"].items())
    gflops = facts["gflops_per_frame"]
    yield "GFLOPs per frame", "network unknown to this version, update nervplay" if gflops is None else f"{gflops:.3f}"
    yield "file", human_bytes(facts["file_bytes"])
    yield (
        "bits per pixel",
        f"{facts['bits_per_pixel']:.4f} (without sound and still: {facts['bits_per_pixel_video']:.4f})",
    )
    yield "bit rate", f"{facts['bit_rate_kbps']:.1f} kbit/s"
    yield "sections", ", ".join(f"{name} {size:,}" for name, size in sections.items() if size)
    for title in ("config", "source", "recipe"):
        yield from _leaves(title, facts[title])
    yield "weights SHA-256", facts["weights_sha256"]
    yield "format", f"{facts['format_version']}, written by {facts['writer']}"


def _cut(segments: Sequence[Mapping[str, int]]) -> str:
    """Return how the time is cut, in words; nothing where one network stands for the whole clip."""
    if len(segments) == 1:
        return ""
    counts = [segment["frame_count"] for segment in segments]
    blended = sum(segment["lead"] + segment["tail"] for segment in segments)
    return f"{len(segments)} of {min(counts)} to {max(counts)} frames, {blended} frames blended at seams"


def _leaves(title: str, value: Any) -> Iterable[tuple[str, str]]:
    """Yield what nested objects hold, each value under the names that lead to it."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _leaves(f"{title} {name}", inner)
    else:
        yield title, str(value)
