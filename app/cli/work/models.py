"""What `nervplay models` does: counting what networks cost, and the tables."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from app.cli.output import emit_fields, emit_json, emit_table
from app.cli.words import human_count
from nervplay.errors import UnknownNameError
from nervplay.models import architecture_names, get_architecture, preset_names, resolve_preset
from nervplay.models.cost import measure_cost

__all__ = ["PresetFigures", "measure_preset", "network_names", "show_models"]

_ANY_SIZE = (320, 180)
"""(width, height) that costs are counted for where a preset takes any size: those of the bundled sample."""

_TOLERANCE = 0.005
"""How far a figure may lie from an expected one that was rounded to three digits."""


class PresetFigures(NamedTuple):
    """What a preset costs at its size, beside what its paper says."""

    name: str
    summary: str
    paper: str
    width: int
    height: int
    frame_count: int
    parameters: int
    gflops: float
    expected: Mapping[str, float]
    config: Mapping[str, Any]
    recipe: Mapping[str, Any]

    @property
    def verdict(self) -> str:
        """Return "match", the largest difference in percent, or "" where there is nothing to compare with."""
        measured = {"parameters": self.parameters, "gflops": self.gflops}
        differences = [measured[name] / value - 1 for name, value in self.expected.items() if name in measured]
        if not differences:
            return ""
        worst = max(differences, key=abs)
        return "match" if abs(worst) <= _TOLERANCE else f"{worst:+.1%}"

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-plain dict."""
        return {**self._asdict(), "verdict": self.verdict}


def network_names() -> dict[str, list[str]]:
    """Return the names of all "architectures" and "presets", for a shell to complete."""
    return {"architectures": architecture_names(), "presets": preset_names()}


def show_models(name: str | None, *, as_json: bool) -> None:
    """List architectures and presets, or explain one.

    Args:
        name: of an architecture or a preset; None for all.
        as_json: print JSON instead of a table.

    Raises:
        UnknownNameError: neither an architecture nor a preset.
    """
    chosen = _choose(name)
    figures = [measure_preset(preset) for preset in chosen]
    if as_json:
        emit_json({"presets": [figure.to_json() for figure in figures]})
    elif name in preset_names():
        _explain(figures[0])
    else:
        _list(figures)


def _choose(name: str | None) -> list[str]:
    """Return the full names of the presets that NAME means; all for None.

    Raises:
        UnknownNameError: neither an architecture nor a preset.
    """
    if name is None:
        return preset_names()
    if name in architecture_names():
        return [f"{name}-{short}" for short in get_architecture(name).presets]
    if name in preset_names():
        return [name]
    raise UnknownNameError("architecture or preset", name, [*architecture_names(), *preset_names()])


def measure_preset(full_name: str) -> PresetFigures:
    """Return the figures of a preset at its own size, or at that of the bundled sample where it takes any.

    Args:
        full_name: "<architecture>-<short name>".

    Raises:
        UnknownNameError: no such preset.
    """
    architecture, preset = resolve_preset(full_name)
    width, height = preset.size or _ANY_SIZE
    config = preset.configure(width, height, preset.frame_count)
    cost = measure_cost(architecture.name, config)
    return PresetFigures(
        name=full_name,
        summary=preset.summary,
        paper=preset.paper,
        width=width,
        height=height,
        frame_count=preset.frame_count,
        parameters=cost.parameters,
        gflops=cost.gflops,
        expected=dict(preset.expected),
        config=config.to_config(),
        recipe=dict(preset.recipe),
    )


def _list(figures: list[PresetFigures]) -> None:
    emit_table(
        ("preset", "frame size", "parameters", "expected", "GFLOPs", "expected", "", "summary"),
        [
            (
                figure.name,
                f"{figure.width}x{figure.height}",
                f"{figure.parameters:,}",
                _expected(figure, "parameters"),
                f"{figure.gflops:.2f}",
                _expected(figure, "gflops"),
                figure.verdict,
                figure.summary,
            )
            for figure in figures
        ],
        left=("summary",),
    )


def _expected(figure: PresetFigures, name: str) -> str:
    return human_count(figure.expected[name]) if name in figure.expected else "-"


def _explain(figure: PresetFigures) -> None:
    rows = [
        ("about", figure.summary),
        ("expected from", figure.paper),
        ("frame size", f"{figure.width}x{figure.height}, {figure.frame_count} frames"),
        ("parameters", f"{figure.parameters:,}"),
        ("GFLOPs", f"{figure.gflops:.2f} for one frame"),
        *((f"expected {name}", f"{value:,}") for name, value in figure.expected.items()),
        ("verdict", figure.verdict),
        *((f"network {name}", str(value)) for name, value in figure.config.items()),
        *((f"recipe {name}", str(value)) for name, value in figure.recipe.items()),
    ]
    emit_fields(rows, title=figure.name)
