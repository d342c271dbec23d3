"""What commands say: data on stdout, everything else on stderr; tables, JSON, and a progress bar with the time left.

Colour only where a person looks (a terminal without NO_COLOR). A closed stdout ends the program in silence (see
`main`); a closed stderr must never end long work, so that console falls silent instead.
"""

import io
import json
import math
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table
from rich.text import Text

from app.cli.words import human_seconds, printable

__all__ = [
    "Reporter",
    "byte_progress",
    "emit",
    "emit_fields",
    "emit_json",
    "emit_table",
    "note",
    "progress",
]

_PIPED_WIDTH = 200
_LINE_EVERY = 10.0
"""Seconds between progress lines where there is no terminal: enough for a log, too few to drown it."""
_PERIOD, _UNEVEN_PERIOD = 30.0, 3600.0
"""Seconds back from now in which a bar looks for the speed; whole units come seldom."""


class _StderrConsole(Console):
    def on_broken_pipe(self) -> None:
        self.quiet = True


def _write(*things: Any) -> None:
    """Write what rich renders to stdout, without its trailing blanks; tables in a pipe are not squeezed."""
    terminal = sys.stdout.isatty()
    rendered = io.StringIO()
    console = Console(file=rendered, force_terminal=terminal, width=None if terminal else _PIPED_WIDTH, highlight=False)
    console.print(*things, sep="\n")
    sys.stdout.write("\n".join(line.rstrip() for line in rendered.getvalue().splitlines()) + "\n")


def _stderr() -> Console:
    return _StderrConsole(file=sys.stderr, highlight=False)


def _text(text: str) -> Text:
    """Return `text` as rich shows it: no markup, no control characters."""
    return Text(printable(text))


def emit(text: str) -> None:
    """Write one line to stdout as it is."""
    sys.stdout.write(text + "\n")


def emit_json(data: Any) -> None:
    """Write JSON to stdout, indented and in ASCII; infinity becomes "inf", as reports have it, and NaN null."""
    emit(json.dumps(_finite(data), indent=2, allow_nan=False))


def _finite(data: Any) -> Any:
    """Return `data` without the floats that JSON does not have."""
    if isinstance(data, Mapping):
        return {str(key): _finite(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_finite(value) for value in data]
    if isinstance(data, float) and not math.isfinite(data):
        return None if math.isnan(data) else str(data)
    return data


def emit_table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, left: Sequence[str] = ()) -> None:
    """Write a table to stdout; the first column is left-aligned, the others right-aligned.

    Args:
        columns: headings.
        rows: cells, as many per row as there are columns.
        left: headings of other columns that hold words, left-aligned.
    """
    table = Table(box=None, pad_edge=False, header_style="bold")
    for number, column in enumerate(columns):
        words = number == 0 or column in left
        table.add_column(Text(column), justify="left" if words else "right", overflow="fold")
    for row in rows:
        table.add_row(*map(_text, row))
    _write(table)


def emit_fields(fields: Iterable[tuple[str, str]], *, title: str = "") -> None:
    """Write "name  value" lines to stdout, values aligned.

    Args:
        fields: names and values; a row without a value is left out.
        title: a line above them.
    """
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in fields:
        if value:
            grid.add_row(_text(name), _text(value))
    _write(*([_text(title)] if title else []), grid)


def note(text: str) -> None:
    """Write one line to stderr: what was done, what to do next."""
    _stderr().print(_text(text), soft_wrap=True)


class Reporter(Protocol):
    """Shows how far the work is."""

    def __call__(self, done: float, detail: str = "") -> None:
        """Show that `done` units are done, a fraction of one included; `detail` stands beside the bar."""
        ...


@contextmanager
def progress(title: str, total: int, unit: str, *, uneven: bool = False) -> Iterator[Reporter]:
    """Show a bar on stderr while the block runs, or a line every ten seconds where stderr is no terminal.

    Args:
        title: what is going on.
        total: number of units.
        unit: what is counted, in the plural ("frames").
        uneven: whether a part of a unit says nothing about the time of a whole one, as where each starts a process:
            the time left is told when a whole one is done.

    Yields:
        The function that moves the bar.
    """
    console = _stderr()
    if not console.is_terminal:
        yield _line_reporter(title, total, unit, uneven=uneven)
        return
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TextColumn("{task.fields[detail]}"),
        TimeRemainingColumn(compact=True),
        TextColumn("left"),
        console=console,
        transient=True,
        speed_estimate_period=_UNEVEN_PERIOD if uneven else _PERIOD,
    )
    with bar:
        task = bar.add_task(title, total=total, detail="")

        def show(done: float, detail: str = "") -> None:
            bar.update(task, completed=int(done) if uneven else done, detail=detail)

        yield show


@contextmanager
def byte_progress(title: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar of bytes on stderr while the block runs, or a line every ten seconds where stderr is no terminal.

    Args:
        title: what is transferred.

    Yields:
        The function to tell (bytes done, bytes in all).
    """
    console = _stderr()
    if not console.is_terminal:
        lines: list[Reporter] = []

        def tell(done: int, total: int) -> None:
            if not lines:
                lines.append(_line_reporter(title, total, "bytes"))
            lines[0](done)

        yield tell
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, TimeRemainingColumn(compact=True), console=console, transient=True) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _line_reporter(title: str, total: int, unit: str, *, uneven: bool = False) -> Reporter:
    """Return a reporter that writes plain lines, the first one `_LINE_EVERY` seconds after the first call."""
    began = last = 0.0
    first: float | None = None

    def show(done: float, detail: str = "") -> None:
        nonlocal began, last, first
        now = time.monotonic()
        if first is None:
            began, last, first = now, now, done
        elif uneven and done == first:
            began = now  # what goes before the first unit
        if now - last < _LINE_EVERY:
            return
        last = now
        words = [f"{title}: {int(done)}/{total} {unit}", detail]
        # what was done before the first call, as in a resumed fit, says nothing about the speed
        if done >= first + 1 if uneven else done > first:
            words.append(f"{human_seconds((now - began) * (total - done) / (done - first))} left")
        note(", ".join(filter(None, words)))

    return show
