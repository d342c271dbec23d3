"""What all commands share: -v and --debug before or behind the name, examples and exit codes in the help."""

import logging
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import click

from app.cli.table import EXIT_CODES, find_row

__all__ = [
    "COMPLETION",
    "NervplayCommand",
    "NervplayGroup",
    "State",
    "command",
    "common_options",
    "subcommand",
    "write_block",
]


COMPLETION = "_NERVPLAY_COMPLETE"
"""Set in the environment by the scripts of `nervplay completion`: what a shell asks for at a press of Tab."""


@dataclass
class State:
    """What the common options set; one per run, the `obj` of the root context."""

    debug: bool = False
    offline: bool = False
    log: logging.Handler | None = None

    def log_to_stderr(self, level: int) -> None:
        """Show log records from `level` on, on the present sys.stderr."""
        self.end_log()
        self.log = logging.StreamHandler(sys.stderr)
        self.log.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
        logging.getLogger().addHandler(self.log)
        logging.getLogger().setLevel(level)

    def end_log(self) -> None:
        """Take back what `log_to_stderr` did."""
        if self.log is not None:
            logging.getLogger().removeHandler(self.log)
            logging.getLogger().setLevel(logging.WARNING)


class NervplayCommand(click.Command):
    """A command whose help ends with examples and its exit codes, and which takes the common options.

    One whose arguments may be addresses on the Hub (types with `remote`) takes --offline, too.

    Args:
        examples: full command lines.
        codes: the exit codes it can end with besides 0 and 1.
    """

    def __init__(self, *args: Any, examples: Sequence[str] = (), codes: Sequence[int] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples, self.codes = tuple(examples), tuple(codes)
        if any(getattr(param.type, "remote", False) for param in self.params):
            self.params.append(_offline_option())
            self.codes = tuple(sorted({*self.codes, 5, 6}))
        self.params.extend(common_options())

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """Write the examples and the exit codes as they are, without wrapping."""
        write_block(formatter, "Example" if len(self.examples) == 1 else "Examples", self.examples)
        codes = (0, 1, *self.codes)
        write_block(formatter, "Exit codes", [f"{code:<4} {EXIT_CODES[code]}" for code in codes])


def command(
    name: str, *, examples: Sequence[str], codes: Sequence[int], cls: type[NervplayCommand] = NervplayCommand
) -> Callable[[Callable[..., Any]], click.Command]:
    """Return a decorator that makes a function the command `name` of the table.

    Args:
        name: its name in `app.cli.table.COMMANDS`; the summary there is the command's short help.
        examples: full command lines for the help.
        codes: the exit codes it can end with besides 0 and 1.
        cls: what kind of command it is.
    """
    row = find_row(name)
    assert row is not None, name
    return click.command(
        name,
        cls=cls,
        short_help=row.summary,
        examples=examples,
        codes=codes,
        context_settings={"help_option_names": ["-h", "--help"]},
    )


class NervplayGroup(NervplayCommand, click.Group):
    """A command with commands of its own; without one it shows its help."""


def subcommand(
    group: click.Group, name: str, *, summary: str, examples: Sequence[str], codes: Sequence[int]
) -> Callable[[Callable[..., Any]], click.Command]:
    """Return a decorator that makes a function the command `name` of a group.

    Args:
        group: made with `NervplayGroup`.
        name: of the command.
        summary: one line for the group's list.
        examples: full command lines for the help.
        codes: the exit codes it can end with besides 0 and 1.
    """
    return group.command(
        name,
        cls=NervplayCommand,
        short_help=summary,
        examples=examples,
        codes=codes,
        context_settings={"help_option_names": ["-h", "--help"]},
    )


def common_options() -> list[click.Option]:
    """Return fresh -v and --debug options; they set the `State` of the run, wherever they stand."""
    return [
        click.Option(
            ["-v", "--verbose"],
            count=True,
            expose_value=False,
            callback=_set_verbosity,
            help="Log to stderr what is done; twice for more.",
        ),
        click.Option(
            ["--debug"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_set_debug,
            help="Show the traceback of an error.",
        ),
    ]


def _offline_option() -> click.Option:
    """Return --offline; eager, because arguments are fetched while they are parsed."""
    return click.Option(
        ["--offline"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_set_offline,
        help="Take videos of the Hub from this computer only.",
    )


def write_block(formatter: click.HelpFormatter, title: str, lines: Sequence[str]) -> None:
    """Write a titled section of the help whose lines are kept as they are."""
    formatter.write_paragraph()
    formatter.write(f"{title}:\n")
    for line in lines:
        formatter.write(f"  {line}\n")


def _set_debug(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value:
        ctx.find_root().ensure_object(State).debug = True


def _set_offline(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value:
        ctx.find_root().ensure_object(State).offline = True


def _set_verbosity(ctx: click.Context, _param: click.Parameter, value: int) -> None:
    if value:
        ctx.find_root().ensure_object(State).log_to_stderr(logging.INFO if value == 1 else logging.DEBUG)
