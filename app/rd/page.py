"""The page: one HTML file that needs nothing else, plots as inline SVG, readable in light and in dark."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from importlib.resources import files

from app.rd.plot import Panel, Series
from app.rd.study import RdStudy
from app.rd.summary import BdFigure, bd_figures, equal_bytes, equal_quality
from app.rd.svg import mark_svg, panel_svg

__all__ = ["TITLES", "panels", "render_page", "shown_value"]

TITLES = {
    "psnr": ("PSNR RGB", "dB", 2),
    "psnr-yuv": ("PSNR YUV", "dB", 2),
    "ssim": ("SSIM", "", 4),
    "ms-ssim": ("MS-SSIM", "", 4),
    "vmaf": ("VMAF", "", 2),
}
"""Title, unit and decimals of the measures."""

_COLOURS = 8


def shown_value(measure: str, value: float) -> str:
    """Return a quality in the decimals of its measure."""
    return f"{value:.{TITLES[measure][2]}f}"


def panels(study: RdStudy) -> list[Panel]:
    """Return one plot per measure."""
    return [_panel(study, measure) for measure in study.measures]


def _panel(study: RdStudy, measure: str) -> Panel:
    title, unit, _ = TITLES[measure]
    series = []
    for number, curve in enumerate(study.curves):
        points = []
        for point in curve.points:
            quality = point.quality[measure]
            words = f"{curve.name}, {point.name}: {point.size:,} bytes, {shown_value(measure, quality)}"
            points.append((study.bpp(point.size), quality, words))
        series.append(Series(number=number % _COLOURS, large=curve.neural, points=tuple(points)))
    return Panel(title=f"{title}, {unit}" if unit else title, series=tuple(series))


def render_page(study: RdStudy, notes: Iterable[str] = ()) -> str:
    """Return the page as HTML.

    Args:
        study: what was measured.
        notes: further words on how it was measured, such as versions.
    """
    spec = study.spec
    title = f"Rate and quality: {study.clip}"
    facts = (
        f"{spec.width}x{spec.height}, {spec.frame_count} frames, {float(spec.rate):.6g} frames per second, "
        f"{float(spec.duration):.2f} s"
    )
    legend = "".join(
        f"<li>{mark_svg(number % _COLOURS, large=curve.neural)}{escape(curve.name)}</li>"
        for number, curve in enumerate(study.curves)
    )
    body = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="facts">{escape(facts)}</p>',
        *(f'<p class="lead">{escape(line)}</p>' for line in _leads(study)),
        f'<ul class="legend">{legend}</ul>',
        f'<div class="plots">{"".join(map(panel_svg, panels(study)))}</div>',
        *_equal_bytes(study),
        *_bd(study),
        *_all_points(study),
        "<h2>How it was measured</h2>",
        *(f'<p class="note">{escape(line)}</p>' for line in (*_method(study), *notes)),
    ]
    style = files("app.rd").joinpath("style.css").read_text()
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{style}</style>"
    )
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>{"".join(body)}</body></html>\n'


def _leads(study: RdStudy) -> Iterator[str]:
    """Yield what the figures say of each file, in one sentence each."""
    needed: dict[str, list[str]] = {}
    for file, anchor, size in equal_quality(study):
        if size is not None:
            needed.setdefault(file.name, []).append(f"{anchor} {size / file.size:.0%}")
    for curve in study.curves:
        for point in curve.points if curve.neural else ():
            line = f"{point.name}: {point.size:,} bytes, {study.bpp(point.size):.4f} bits per pixel, "
            line += f"{shown_value('psnr', point.quality['psnr'])} dB."
            if point.name in needed:
                line += f" Bytes that the encoders need for the same PSNR: {', '.join(needed[point.name])} of it."
            yield line


def _equal_bytes(study: RdStudy) -> Iterator[str]:
    """Yield the table of files beside anchors of their size."""
    pairs = list(equal_bytes(study))
    if not pairs:
        return
    rows: list[tuple[bool, list[str]]] = []
    shown = ""
    for file, anchor, point in pairs:
        if file.name != shown:
            shown = file.name
            rows.append((True, [file.name, "", f"{file.size:,}", "", *_qualities(study, file.quality)]))
        apart = f"{round(point.size / file.size - 1, 3) + 0.0:+.1%}"
        rows.append((False, [anchor, point.name, f"{point.size:,}", apart, *_qualities(study, point.quality)]))
    yield "<h2>At equal bytes</h2>"
    yield _table(["", "setting", "bytes", "apart", *_heads(study)], rows, words=(1,))


def _bd(study: RdStudy) -> Iterator[str]:
    """Yield the table of Bjøntegaard figures."""
    figures = list(bd_figures(study))
    if not figures:
        return
    by_curve: dict[str, list[BdFigure]] = {}
    for figure in figures:
        by_curve.setdefault(figure.curve, []).append(figure)
    neural = {curve.name for curve in study.curves if curve.neural}
    rows = [(name in neural, [name, *(_bd_words(figure) for figure in row)]) for name, row in by_curve.items()]
    yield f"<h2>Bjøntegaard differences to {escape(figures[0].reference)}</h2>"
    yield (
        '<p class="note">BD-rate in per cent (less is better) and, behind it, BD-quality in the unit of the measure, '
        "over the range that both curves cover; piecewise cubic interpolation (PCHIP).</p>"
    )
    yield _table(["curve", *_heads(study)], rows)
    reasons = {figure.curve: figure.reason for figure in figures if figure.reason}
    for name, reason in reasons.items():
        yield f'<p class="note">{escape(name)}: {escape(reason)}</p>'


def _bd_words(figure: BdFigure) -> str:
    if figure.rate is None:
        return "-"
    quality = "" if figure.quality is None else f", {figure.quality:+.{TITLES[figure.measure][2]}f}"
    return f"{figure.rate:+.1f} %{quality}"


def _all_points(study: RdStudy) -> Iterator[str]:
    """Yield the table of everything that was measured."""
    rows = [
        (
            curve.neural,
            [
                curve.name,
                point.name,
                f"{point.size:,}",
                f"{study.bpp(point.size):.4f}",
                f"{study.kbit_per_second(point.size):.1f}",
                *_qualities(study, point.quality),
            ],
        )
        for curve in study.curves
        for point in curve.points
    ]
    yield "<h2>All points</h2>"
    yield _table(["curve", "point", "bytes", "bpp", "kbit/s", *_heads(study)], rows, words=(1,))


def _method(study: RdStudy) -> Iterator[str]:
    """Yield how the figures came about."""
    yield (
        "A neural file counts with all its bytes but sound and still; an encoder with all that it made, headers "
        "included, without the container. All encodes are of the same frames, and every figure is the mean over all "
        "frames of what the encode decodes to, against the source as 8-bit RGB. The encoders work in 8-bit 4:2:0 with "
        "one quality setting for the whole clip; at high rates the halved chroma, whose samples are repeated on the "
        "way back to RGB, limits their PSNR RGB."
    )
    yield (
        "PSNR RGB: one mean squared error over all samples of a frame. PSNR YUV: 6:1:1, that is (6 Y + U + V) / 8 of "
        "the planes' PSNR, in BT.709 4:2:0. SSIM and MS-SSIM: Gaussian window of 11 taps, mean over R, G and B. VMAF: "
        "the default model of libvmaf."
    )
    for measure, reason in study.missing.items():
        yield f"Without {TITLES[measure][0]}: {reason}."


def _heads(study: RdStudy) -> list[str]:
    return [TITLES[measure][0] for measure in study.measures]


def _qualities(study: RdStudy, quality: Mapping[str, float]) -> list[str]:
    return [shown_value(measure, quality[measure]) for measure in study.measures]


def _table(heads: Sequence[str], rows: Iterable[tuple[bool, Sequence[str]]], *, words: Sequence[int] = ()) -> str:
    """Return a table; rows are (whether neural, cells), columns `words` are left-aligned."""

    def cell(tag: str, place: int, text: str) -> str:
        kind = ' class="words"' if place in words else ""
        return f"<{tag}{kind}>{escape(text)}</{tag}>"

    top = "".join(cell("th", place, text) for place, text in enumerate(heads))
    lines = ""
    for ours, cells in rows:
        inner = "".join(cell("td", place, text) for place, text in enumerate(cells))
        lines += f'<tr class="ours">{inner}</tr>' if ours else f"<tr>{inner}</tr>"
    return f'<div class="scroll"><table><thead><tr>{top}</tr></thead><tbody>{lines}</tbody></table></div>'
