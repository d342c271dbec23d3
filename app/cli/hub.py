"""`nervplay hub`: what is on the Hub and what of it is here; logging in and out."""

import sys

import click

from app.cli.addresses import ADDRESS, LOCAL_ADDRESS
from app.cli.command import NervplayGroup, State, subcommand
from app.cli.fetching import open_hub
from app.cli.options import json_option
from app.cli.output import emit, emit_fields, emit_json, emit_table, note
from app.cli.table import find_row
from app.cli.words import human_bytes
from models_hub import Address
from nervplay.errors import InputError, UsageError

__all__ = ["command"]

_ROW = find_row("hub")
assert _ROW is not None


@click.group(
    "hub",
    cls=NervplayGroup,
    short_help=_ROW.summary,
    examples=("nervplay hub info alice/bunny", "nervplay hub list", "nervplay hub login"),
    codes=(2, 3, 4, 5, 6, 130),
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.pass_context
def command(ctx: click.Context) -> None:
    """Look at videos on the Hub, and at those of it that are on this computer.

    Logins and downloads are shared with all other tools of the Hub (HF_HOME).
    """
    if ctx.invoked_subcommand is None:
        emit(ctx.get_help())


@subcommand(
    command,
    "info",
    summary="Show what a video on the Hub holds, without a download.",
    examples=("nervplay hub info alice/bunny@v1",),
    codes=(2, 3, 5, 6),
)
@click.argument("address", type=ADDRESS)
@json_option
@click.pass_context
def info(ctx: click.Context, *, address: Address, as_json: bool) -> None:
    """Show what a video on the Hub says of itself, without downloading it: two requests."""
    from app.cli.info import describe, fact_lines

    hub = open_hub()
    offline = ctx.find_root().ensure_object(State).offline
    found = hub.pull(address, offline=True) if offline else hub.peek(address)
    facts = describe(found.header)
    if as_json:
        emit_json({"address": str(found.address), **facts})
    else:
        emit_fields(fact_lines(facts), title=str(found.address))


@subcommand(
    command,
    "list",
    summary="List the videos of the Hub on this computer.",
    examples=("nervplay hub list", "nervplay hub list --json"),
    codes=(6,),
)
@json_option
def list_(*, as_json: bool) -> None:
    """List the neural videos of the Hub that are on this computer."""
    clips = open_hub().local()
    if as_json:
        emit_json(
            [
                {"address": str(clip.address), "path": str(clip.path), "file_bytes": clip.header.file_bytes}
                for clip in clips
            ]
        )
        return
    rows = [
        (
            str(clip.address),
            clip.header.architecture,
            f"{clip.header.video.width}x{clip.header.video.height}",
            str(clip.header.video.frame_count),
            f"{clip.header.file_bytes:,}",
        )
        for clip in clips
    ]
    if rows:
        emit_table(("address", "network", "size", "frames", "bytes"), rows, left=("network",))
    else:
        note("no video of the Hub is on this computer; nervplay search finds some, nervplay pull fetches them")


@subcommand(
    command,
    "verify",
    summary="Check downloaded videos against the Hub's digests.",
    examples=("nervplay hub verify alice/bunny",),
    codes=(2, 3, 6),
)
@click.argument("address", type=LOCAL_ADDRESS)
@json_option
def verify(*, address: Address, as_json: bool) -> None:
    """Check downloaded videos of a repository against the Hub's digests, and read them to the end."""
    verdicts = open_hub().verify(address)
    rows = [(each.file, each.revision, each.problem) for each in verdicts]
    if as_json:
        emit_json([dict(zip(("file", "revision", "problem"), row, strict=True)) for row in rows])
    else:
        shown = [(file, revision, problem or "sound") for file, revision, problem in rows]
        emit_table(("file", "revision", "state"), shown, left=("revision", "state"))
    damaged = sum(bool(problem) for *_, problem in rows)
    if damaged:
        raise InputError(f"{damaged} of {len(rows)} files are damaged; get them again: nervplay pull {address}")


@subcommand(
    command,
    "remove",
    summary="Delete a repository's videos from this computer.",
    examples=("nervplay hub remove alice/bunny",),
    codes=(2, 4, 6),
)
@click.argument("address", type=LOCAL_ADDRESS)
def remove(*, address: Address) -> None:
    """Delete a repository of neural videos from this computer, all its versions; the Hub keeps it."""
    freed = open_hub().remove(address.repository)
    note(f"removed {address.repository} from this computer, {human_bytes(freed)} freed")


@subcommand(
    command,
    "login",
    summary="Keep a token of the Hub on this computer.",
    examples=("nervplay hub login", "nervplay hub login < token.txt"),
    codes=(2, 5, 6),
)
def login() -> None:
    """Keep a token of the Hub on this computer: asked for without showing it, or read from standard input.

    Make one at https://huggingface.co/settings/tokens; publishing needs one that can write.
    """
    hub = open_hub()
    if sys.stdin.isatty():
        token = str(click.prompt("Token (from https://huggingface.co/settings/tokens)", hide_input=True, err=True))
    else:
        token = sys.stdin.readline()
    if not token.strip():
        raise UsageError("no token was given; copy one from https://huggingface.co/settings/tokens")
    account = hub.login(token.strip())
    note(f"logged in as {account.name}{f', who may {account.role}' if account.role else ''}")


@subcommand(
    command, "logout", summary="Forget the logins kept on this computer.", examples=("nervplay hub logout",), codes=(6,)
)
def logout() -> None:
    """Forget the logins that are kept on this computer, for all tools of the Hub."""
    open_hub().logout()
    note("logged out")


@subcommand(command, "whoami", summary="Show who is logged in.", examples=("nervplay hub whoami --json",), codes=(5, 6))
@json_option
def whoami(*, as_json: bool) -> None:
    """Show who is logged in."""
    account = open_hub().whoami()
    if as_json:
        emit_json({"name": account.name, "role": account.role, "organisations": list(account.organisations)})
    else:
        emit(account.name)
