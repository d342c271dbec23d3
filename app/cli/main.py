"""The entry point `nervplay`: takes the command from the table, runs it, turns errors into one line and an exit code.

It answers at once, for nothing heavy is imported before there is work to do. A command's module, `app.cli.NAME`,
declares options and checks what can be checked from the arguments alone; neither it nor what it imports at its head
loads torch, PyAV or Qt. What the command does is in `app.cli.work.NAME`, imported inside the command, below the checks.
Names and limits that options offer come from `nervplay.choices`.
"""

import contextlib
import errno
import gc
import importlib
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager

import click
from click.shell_completion import shell_complete

from app.cli.command import COMPLETION, State, common_options, write_block
from app.cli.table import COMMANDS, EXIT_CODES, find_row
from app.cli.words import printable
from app.core.compiling import told_of_compiling
from nervplay import __version__
from nervplay.errors import Interrupted, NervplayError, UnknownNameError

__all__ = ["CommandGroup", "group", "main"]


class CommandGroup(click.Group):
    """The commands of `app.cli.table`, each imported when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names in the order of the table."""
        return [row.name for row in COMMANDS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Import and return the command, or None for a name that is not in the table."""
        row = find_row(cmd_name)
        if row is None:
            return None
        loaded: click.Command = importlib.import_module(row.module).command
        return loaded

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return name, command and remaining arguments.

        Raises:
            UnknownNameError: no such command; the nearest names are offered.
        """
        if not ctx.resilient_parsing and not args[0].startswith("-") and find_row(args[0]) is None:
            raise UnknownNameError("command", args[0], self.list_commands(ctx))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """Write the list of commands from the table, importing none of them."""
        with formatter.section("Commands"):
            formatter.write_dl([(row.name, row.summary) for row in COMMANDS])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """Write the first steps and the exit codes."""
        write_block(
            formatter, "First steps", ("nervplay demo", "nervplay encode clip.mp4 clip.nerv --preset hnerv-tiny")
        )
        write_block(formatter, "Exit codes", [f"{code:<4} {meaning}" for code, meaning in EXIT_CODES.items()])


group = CommandGroup(
    "nervplay",
    help="Fit, measure, decode and export neural video (NeRV): a clip stored as the weights of a small network.",
    params=common_options(),
    no_args_is_help=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
click.version_option(__version__, prog_name="nervplay", message="%(prog)s %(version)s")(group)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; errors are one line on stderr.

    Args:
        arguments: what follows the program's name; that of the process when None. Nothing at all shows the help.
    """
    # PyTorch's threads spin while they wait for each other. Beside any other work (an encoder at the other end of the
    # pipe) that made frames 10 and MS-SSIM 60 times slower on 2 cores. libgomp reads this when torch is loaded, later.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if arguments is None:
        _prepare_process()
        if asked := os.environ.get(COMPLETION):
            return shell_complete(group, {"obj": State()}, "nervplay", COMPLETION, asked)
    state = State()
    words = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    with warnings.catch_warnings():
        if not sys.warnoptions:
            warnings.simplefilter("ignore")  # for developers: -W default, or PYTHONWARNINGS, shows them
        try:
            with _said_unless(state), group.make_context("nervplay", words, obj=state) as ctx:
                group.invoke(ctx)
            sys.stdout.flush()
        except BaseException as error:  # noqa: BLE001 - the last resort of the program: every way to end is told apart here
            code, message = _explain(error)
            with contextlib.suppress(OSError):  # nobody reads stderr: the exit code must do
                if state.debug and code:
                    traceback.print_exc()
                if message:
                    click.echo(f"nervplay: {message}", err=True)
            return code
        finally:
            state.end_log()
            if arguments is None:
                gc.freeze()  # the process ends: its last collection, of all that was imported, would take half a second
    return 0


def _prepare_process() -> None:
    """Let a kill that can be heeded end the program as Ctrl-C does, and let nothing be missing that it writes to.

    By an exception, so that what is half written is removed. A signal that is ignored, as under nohup, stays ignored.
    """
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)
    for stream in ("stdout", "stderr"):
        if getattr(sys, stream) is None:  # closed by who started us: `>&-`
            setattr(sys, stream, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8"))


def _said_unless(state: State) -> AbstractContextManager[None]:
    """Say on stderr that kernels are compiled, inside the block, unless the log shows it anyway."""

    def tell(words: str) -> None:
        if state.log is None:
            with contextlib.suppress(OSError):  # nobody reads stderr
                click.echo(f"nervplay: {words}", err=True)

    return told_of_compiling(tell)


def _explain(error: BaseException) -> tuple[int, str]:
    """Return the exit code and the one line to print ("" for none) for an exception that ended the run."""
    code, message = 1, ""
    match error:
        case click.exceptions.Exit():
            code = error.exit_code
        case SystemExit():
            code = error.code if isinstance(error.code, int) else 1
        case click.UsageError():
            where = error.ctx.command_path if error.ctx else "nervplay"
            code, message = 2, f"error: {error.format_message().rstrip('.')} (see `{where} --help`)"
        case Interrupted():
            code, message = error.exit_code, str(error)
        case NervplayError():
            code, message = error.exit_code, f"error: {error}"
        case KeyboardInterrupt() | click.exceptions.Abort():
            code, message = 130, "interrupted"
        case BrokenPipeError():  # the reader of stdout has enough; our stderr console never raises this
            _forget_stdout()
            code = 0
        case OSError(errno=errno.ENOSPC | errno.EDQUOT):  # stdout: whoever writes a file tells of it by its name
            _forget_stdout()
            code, message = 4, "error: the output was not written: the disk is full; make room or choose another disk"
        case MemoryError():
            message = "error: not enough memory; close other programs, or take a smaller frame size"
        case _:
            message = f"internal error: {type(error).__name__}: {error}; run again with --debug to see where"
    return code, printable(" ".join(message.split()))


def _forget_stdout() -> None:
    """Send what is still buffered for stdout nowhere, so that the interpreter can flush it at exit."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
