"""What `nervplay rd` does: measuring, and page, table and picture."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Self

import av
import numpy as np

from app.cli.options import make_target_folder
from app.cli.output import Reporter, emit_json, emit_table, note, progress
from app.cli.rd import Asked
from app.cli.work.decoding import open_logged
from app.cli.work.measure import measure
from app.core.clips import open_original
from app.rd.bitmap import write_png
from app.rd.page import TITLES, panels, render_page, shown_value
from app.rd.study import NeuralFile, RdStudy, parse_anchors, run_study
from app.rd.table import render_csv, to_json
from ffmpeg_bridge.anchors import AnchorEncoder
from ffmpeg_bridge.vmaf import find_vmaf
from nervplay import __version__
from nervplay.bitstream import atomic_write, peek_nerv
from nervplay.errors import CapabilityError, GeometryError
from nervplay.metrics.ms_ssim import ms_ssim_obstacle, ssim_obstacle
from nervplay.video import ArraySource, FrameSource, VideoSpec

__all__ = ["rd"]

_IN_MEMORY = 1 << 30
"""Bytes of reference frames that are kept in memory; larger clips are decoded again for every encode."""


def rd(asked: Asked) -> None:
    """Measure files and encoders, write page, table and picture, and say what came of it."""
    wishes = parse_anchors(asked.anchors)
    make_target_folder(asked.output)
    neural = [_neural(path, asked.device, asked.precision) for path in asked.file]
    specs = [peek_nerv(path).video for path in asked.file]
    _check_alike(asked.file, specs)
    measures, missing = _measures(specs[0])
    with (
        _reference(asked.source, asked.file[0], specs[0]) as reference,
        _EncodeBar() as bar,
        AnchorEncoder(reference, progress=bar.show) as encoder,
    ):

        def measured(what: str, frames: FrameSource, size: int) -> Mapping[str, float]:
            bar.close()
            note(f"measuring {what}")
            report = measure(frames, reference, size, measures)
            return {name: series.mean for name, series in report.metrics.items() if series is not None}

        study = run_study(asked.source.name, reference, neural, wishes, measures, measure=measured, encoder=encoder)
    study = replace(study, missing=missing)
    _write(asked.output, study)
    if asked.as_json:
        emit_json(to_json(study))
    else:
        _emit(study)
    note(f"look at {asked.output / 'index.html'}")


class _EncodeBar:
    """A progress bar for each encode, as `AnchorEncoder` tells of them."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._what = ""
        self._show: Reporter | None = None

    def show(self, what: str, done: int, total: int) -> None:
        """Move the bar; begin a new one where other work begins."""
        if what != self._what or self._show is None:
            self.close()
            self._what, self._show = what, self._stack.enter_context(progress(what, total, "frames"))
        self._show(done)

    def close(self) -> None:
        """Take the bar away."""
        self._stack.close()
        self._show = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: object) -> None:
        self.close()


def _neural(path: Path, device: str, precision: str) -> NeuralFile:
    """Return a file with its rate: all its bytes but sound and still."""
    header = peek_nerv(path)
    sections = dict(header.section_bytes)
    size = header.file_bytes - sections.get("audio", 0) - sections.get("poster", 0)
    return NeuralFile(
        path=path,
        architecture=header.architecture,
        size=size,
        open=lambda: open_logged(path, device=device, precision=precision),
    )


def _check_alike(paths: Sequence[Path], specs: Sequence[VideoSpec]) -> None:
    """Raise `GeometryError` unless all files have frames of one size and number."""
    shapes = [(spec.width, spec.height, spec.frame_count) for spec in specs]
    for path, shape in zip(paths, shapes, strict=True):
        if shape != shapes[0]:
            first, other = (f"{width}x{height} with {count} frames" for width, height, count in (shapes[0], shape))
            raise GeometryError(
                f"{path} is {other}, {paths[0]} is {first}; rates are comparable on the same frames only: "
                "give files of one clip and size"
            )


def _measures(spec: VideoSpec) -> tuple[list[str], dict[str, str]]:
    """Return the measures that can be made here, and why others cannot."""
    missing = {
        name: reason
        for name, reason in (
            ("ssim", ssim_obstacle(spec.width, spec.height)),
            ("ms-ssim", ms_ssim_obstacle(spec.width, spec.height)),
        )
        if reason
    }
    try:
        find_vmaf()
    except CapabilityError as error:
        missing["vmaf"] = str(error)
    for name, reason in missing.items():
        note(f"without {name}: {reason}")
    return [name for name in TITLES if name not in missing], missing


@contextmanager
def _reference(source: Path, file: Path, spec: VideoSpec) -> Iterator[FrameSource]:
    """Open the source, cut as a file was; keep its frames in memory where they are few."""
    with open_original(source, peek_nerv(file).source, spec) as original:
        if 3 * original.spec.pixels > _IN_MEMORY:
            yield original
            return
        frames = np.empty((len(original), original.spec.height, original.spec.width, 3), np.uint8)
        with progress("reading the source", len(original), "frames") as show:
            for index, frame in enumerate(original.frames()):
                frames[index] = frame
                show(index + 1)
        yield ArraySource(frames, spec=original.spec)


def _write(folder: Path, study: RdStudy) -> None:
    """Write page, table and picture."""
    made_by = f"Made by nervplay {__version__}; encoders of PyAV {av.__version__} (FFmpeg {av.ffmpeg_version_info})."
    atomic_write(folder / "index.html", render_page(study, [made_by]).encode(), overwrite=True)
    atomic_write(folder / "points.csv", render_csv(study).encode(), overwrite=True)
    names = {curve.name: curve.neural for curve in study.curves}
    spec = study.spec
    title = f"{study.clip}, {spec.width}x{spec.height}, {spec.frame_count} frames"
    write_png(folder / "plots.png", panels(study), names, title=title, overwrite=True)


def _emit(study: RdStudy) -> None:
    """Write all points to stdout."""
    heads = ("curve", "point", "bytes", "bpp", *study.measures)
    rows = [
        (
            curve.name,
            point.name,
            f"{point.size:,}",
            f"{study.bpp(point.size):.4f}",
            *(shown_value(measure, point.quality[measure]) for measure in study.measures),
        )
        for curve in study.curves
        for point in curve.points
    ]
    emit_table(heads, rows, left=("point",))
