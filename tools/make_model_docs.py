"""Write docs/models/NAME.md from the registry: `python tools/make_model_docs.py`, with the project installed.

A page holds what the architecture's module says of itself, its configuration and its presets. A test compares the
pages in the tree with what this makes.
"""

import dataclasses
import inspect
import re
import sys
from pathlib import Path
from typing import get_type_hints

from app.cli.work.models import measure_preset
from nervplay.models import ModelConfig, architecture_names, get_architecture

__all__ = ["TARGET", "render_all"]

TARGET = Path(__file__).resolve().parent.parent / "docs" / "models"

_INDEX = """# Architectures

These pages are made by `tools/make_model_docs.py` from the registry. `nervplay models` prints the tables, and
`nervplay models NAME` one row whole. Parameters are what a file stores: network and embeddings, encoder excluded.
GFLOPs are two per multiply-accumulate of convolutions and linear layers, for one frame, decoding alone.

The convolutions of any stage can be chosen in every architecture with the field `convolutions`, that is in all but
HiNeRV and SRNeRV, whose stages have no dense convolution to replace: low-rank (LRConv-NeRV), Ghost, Ghost v2 or binary.
On the command line it is `nervplay encode ... --convolutions low-rank:3-4:rho=0.25 --convolutions binary:0`, with any
`--preset` or `--arch`; stages count from 0, `2-` means up to the last, `all` all of them. With `--size` the network is
made so that it has that size with these convolutions. Transposed and 3-D convolutions, stems and heads stay dense.

| architecture | from | presets |
|---|---|---|
"""


def _arguments(config: type[ModelConfig]) -> dict[str, str]:
    """Return what the docstrings of a configuration and its bases say of its fields."""
    texts: dict[str, str] = {}
    for cls in reversed(config.__mro__[:-1]):
        section = re.search(r"Args:\n(.*?)(?:\n\n|\Z)", inspect.getdoc(cls) or "", re.DOTALL)
        for entry in re.split(r"\n(?=    \w)", section[1]) if section else ():
            name, _, text = entry.strip().partition(": ")
            texts[name] = " ".join(text.split())
    return texts


def _configuration(config: type[ModelConfig]) -> str:
    """Return the table of a configuration's fields."""
    hints, texts = get_type_hints(config), _arguments(config)
    rows = "| field | type | default | meaning |\n|---|---|---|---|\n"
    for field in dataclasses.fields(config):
        kind = getattr(hints[field.name], "__name__", "") if isinstance(hints[field.name], type) else ""
        kind = (kind or re.sub(r"\b(?:\w+\.)+(?=\w)", "", str(hints[field.name]))).replace("|", "\\|")
        default = "" if field.default is dataclasses.MISSING else f"`{field.default}`"
        rows += f"| `{field.name}` | {kind} | {default} | {texts.get(field.name, '').replace('|', chr(92) + '|')} |\n"
    return rows


def _presets(names: list[str]) -> str:
    """Return the table of presets with our figures beside those of paper or official code."""
    rows = "| preset | frames | parameters | expected | GFLOPs | expected | | expected from |\n"
    rows += "|---|---|---|---|---|---|---|---|\n"
    for name in names:
        figure = measure_preset(name)
        wanted = [f"{figure.expected[key]:,}" if key in figure.expected else "" for key in ("parameters", "gflops")]
        rows += (
            f"| `{name}` | {figure.frame_count} x {figure.width}x{figure.height} | {figure.parameters:,} "
            f"| {wanted[0]} | {figure.gflops:.2f} | {wanted[1]} | {figure.verdict} | {figure.paper} |\n"
        )
    return rows


def render_all() -> dict[str, str]:
    """Return all pages as Markdown, by file name."""
    pages, index = {}, _INDEX
    for name in architecture_names():
        entry = get_architecture(name)
        text = inspect.getdoc(sys.modules[entry.model.__module__]) or ""
        title, _, body = text.partition("\n")
        names = [f"{name}-{short}" for short in entry.presets]
        pages[f"{name}.md"] = (
            f"# {name}\n\n{title}\n\n```text\n{body.strip()}\n```\n\n## Configuration\n\n"
            f"{_configuration(entry.config)}\n## Presets\n\n{_presets(names)}"
        )
        index += f"| [{name}]({name}.md) | {title} | {len(names)} |\n"
    return pages | {"README.md": index}


if __name__ == "__main__":
    TARGET.mkdir(exist_ok=True)
    for file, page in render_all().items():
        (TARGET / file).write_text(page, encoding="utf-8")
