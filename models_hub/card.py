"""The card of a neural video on the Hub: metadata for searches, and a page that a stranger can use at once."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from huggingface_hub import EvalResult, ModelCardData

from models_hub.layout import (
    CARD,
    CONFIG,
    LIBRARY,
    OFFICIAL_ENDPOINT,
    POSTER,
    PREVIEW,
    VIDEO,
    repository_tags,
    variant_path,
)
from models_hub.publication import Publication
from nervplay.bitstream import FORMAT, NervHeader

__all__ = ["make_card", "make_config"]

_METRIC_NAMES = {"psnr": "PSNR (dB)", "ms_ssim": "MS-SSIM", "bpp": "bits per pixel"}


def make_config(header: NervHeader) -> bytes:
    """Return config.json: what the file says of itself, for people and for the Hub's counter; the file wins.

    Args:
        header: of the video.
    """
    facts = {
        "format": FORMAT,
        "format_version": ".".join(map(str, header.version)),
        "architecture": header.architecture,
        "config_version": header.config_version,
        "config": header.config,
        "video": header.video.to_json(),
        "parameters": header.weight_count,
        "file_bytes": header.file_bytes,
        "bits_per_pixel": 8 * header.file_bytes / header.video.pixels,
        "weights_sha256": header.weights_sha256,
        "source": header.source,
        "recipe": header.recipe,
    }
    return (json.dumps(facts, indent=2, sort_keys=True) + "\n").encode()


def make_card(publication: Publication, repository: str, header: NervHeader, variants: Mapping[str, NervHeader]) -> str:
    """Return README.md of a repository: YAML metadata and the page.

    Args:
        publication: what is published.
        repository: "user/name".
        header: of the video.
        variants: headers of the variants, by name.
    """
    return f"---\n{_metadata(publication, repository, header)}\n---\n\n" + "\n".join(
        _page(publication, repository, header, variants)
    )


def _figures(publication: Publication, header: NervHeader) -> dict[str, float]:
    """Return the figures of the card by the Hub's names."""
    measured = {"psnr": publication.psnr, "ms_ssim": publication.ms_ssim}
    figures = {name: value for name, value in measured.items() if value is not None}
    return {name: round(value, 6) for name, value in figures.items()} | {
        "bpp": round(8 * header.file_bytes / header.video.pixels, 6)
    }


def _metadata(publication: Publication, repository: str, header: NervHeader) -> str:
    """Return the YAML at the head of the card."""
    fields: dict[str, Any] = {}
    if publication.license:
        fields["license"] = publication.license
    if publication.poster:
        fields["thumbnail"] = f"{OFFICIAL_ENDPOINT}/{repository}/resolve/main/{POSTER}"
    if publication.preview:
        fields["widget"] = [{"text": "preview", "output": {"url": PREVIEW}}]
    source = _line(str(header.source.get("name", ""))) or repository.split("/")[1]
    results = [
        EvalResult(
            task_type="video-reconstruction",
            dataset_type=re.sub(r"[^A-Za-z0-9._-]+", "-", source),
            dataset_name=source,
            metric_type=name,
            metric_name=_METRIC_NAMES[name],
            metric_value=value,
        )
        for name, value in _figures(publication, header).items()
    ]
    data = ModelCardData(
        library_name=LIBRARY,
        tags=repository_tags(header),
        model_name=_line(publication.title),
        eval_results=results,
        **fields,
    )
    return str(data.to_yaml()).strip()


def _page(
    publication: Publication, repository: str, header: NervHeader, variants: Mapping[str, NervHeader]
) -> Iterator[str]:
    """Yield the lines of the page."""
    video = header.video
    yield f"# {_plain(publication.title)}\n"
    if publication.preview:
        yield "<Gallery />\n"
    elif publication.poster:
        yield f"![poster]({POSTER})\n"
    yield (
        f"A neural video: {video.frame_count} frames of {video.width}x{video.height}, {float(video.rate):.6g} frames/s"
        f" ({float(video.duration):.2f} s), stored as the weights of a small {_code(header.architecture)} network."
        f" The whole clip is the file `{VIDEO}`, {header.file_bytes:,} bytes; frame number in, picture out.\n"
    )
    yield "## Watch it\n"
    yield "```"
    yield 'pip install "nervplay[app,hub]"'
    yield f"nervplay play hf://{repository}"
    yield f"nervplay export hf://{repository} clip.mp4"
    yield f"nervplay info hf://{repository}"
    yield "```\n"
    yield "In Python, any frame in any order:\n"
    yield "```python"
    yield "from models_hub import Hub"
    yield "from nervplay.decode import open_decoder\n"
    yield f'clip = Hub().pull("hf://{repository}")'
    yield "with open_decoder(clip.path) as decoder:"
    yield "    picture = decoder.frame(0)  # uint8 (H, W, 3) RGB"
    yield "```\n"
    yield from _figure_table(publication, header)
    yield from _variant_table(repository, header, variants)
    yield from _making(header)
    yield "## Licence\n"
    yield _licence(publication)


def _figure_table(publication: Publication, header: NervHeader) -> Iterator[str]:
    yield "## Figures\n"
    yield "| measure | value |"
    yield "|---|---|"
    for name, value in _figures(publication, header).items():
        yield f"| {_METRIC_NAMES[name]} | {value:.6g} |"
    yield f"| file | {header.file_bytes:,} bytes |"
    yield f"| weights | {header.weight_count:,} |\n"
    if publication.psnr is not None:
        yield "Quality is measured on what the file decodes to, against its source, and averaged over the frames."
    yield "Bits per pixel = 8 * bytes of the file / (width * height * frames).\n"


def _variant_table(repository: str, header: NervHeader, variants: Mapping[str, NervHeader]) -> Iterator[str]:
    if not variants:
        return
    yield "## Variants\n"
    yield "| file | network | bytes | bits per pixel |"
    yield "|---|---|---|---|"
    rows = {VIDEO: header} | {variant_path(name): each for name, each in variants.items()}
    for path, each in rows.items():
        rate = 8 * each.file_bytes / each.video.pixels
        yield f"| `{path}` | {_code(each.architecture)} | {each.file_bytes:,} | {rate:.5f} |"
    yield f"\nOne of them: `nervplay play hf://{repository}/{list(rows)[1]}`\n"


def _making(header: NervHeader) -> Iterator[str]:
    yield "## How it was made\n"
    yield f"- network: {_code(header.architecture)}, {header.weight_count:,} stored weights"
    for title, facts in (("source", header.source), ("recipe", header.recipe)):
        for name, value in _leaves(facts):
            yield f"- {title} {_plain(name)}: {_code(value)}"
    yield f"- SHA-256 of the integer weights: `{header.weights_sha256}`"
    version = ".".join(map(str, header.version))
    yield f"- format: .nerv {version}, a safetensors file; `{CONFIG}` repeats what it says of itself\n"


def _leaves(value: object, name: str = "") -> Iterator[tuple[str, str]]:
    """Yield what nested mappings hold, each value under the names that lead to it; nulls are left out."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(inner, f"{name} {key}".strip())
    elif value is not None:
        yield name, str(value)


def _licence(publication: Publication) -> str:
    """Return who may do what with the clip."""
    credit = f"{_plain(publication.credit)}\n\n" if publication.credit else ""
    if not publication.license:
        return f"{credit}The licence of the clip is not stated: ask its owner before you use it.\n"
    return (
        f"{credit}The clip is under {_code(publication.license)}. The network stands for the clip and is under the same"
        f" licence. This page is `{CARD}` of the repository.\n"
    )


def _line(text: str) -> str:
    """Return text of unknown origin as one printable line."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:300]


def _plain(text: str) -> str:
    """Return text of unknown origin as one line that Markdown and HTML take for text."""
    return re.sub(r"([\\`*_{}\[\]<>|#!])", r"\\\1", _line(text))


def _code(text: str) -> str:
    """Return text of unknown origin as inline code."""
    line = _line(text.replace("`", " ").replace("|", " "))
    return f"`{line}`" if line else "-"
