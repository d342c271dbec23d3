"""`nervplay pull`: a video of the Hub on this computer."""

import shutil
from pathlib import Path

import click

from app.cli.addresses import ADDRESS
from app.cli.command import State
from app.cli.command import command as nervplay_command
from app.cli.fetching import fetch
from app.cli.options import TARGET, check_target, json_option, overwrite_option
from app.cli.output import emit, emit_json
from models_hub import Address
from nervplay.bitstream import replacing

__all__ = ["command"]


@nervplay_command(
    "pull",
    examples=(
        "nervplay pull alice/bunny",
        "nervplay pull hf://alice/bunny@v1 -o bunny.nerv",
        "nervplay pull hf://alice/bunny/variants/low.safetensors --json",
    ),
    codes=(2, 3, 4, 5, 6, 130),
)
@click.argument("address", type=ADDRESS)
@click.option("-o", "--output", type=TARGET, metavar="OUT.nerv", help="Copy it to this file, too.")
@json_option
@overwrite_option
@click.pass_context
def command(ctx: click.Context, *, address: Address, output: Path | None, as_json: bool, overwrite: bool) -> None:
    """Fetch the video at ADDRESS and print where it is.

    ADDRESS is user/name, hf://user/name[@revision][/file] or a link to huggingface.co. The file goes to the cache that
    all tools of the Hub share (HF_HOME); what is there already is not fetched again. Its digest is checked every time.
    """
    if output is not None:
        check_target(output, overwrite=overwrite)
    clip = fetch(address, offline=ctx.find_root().ensure_object(State).offline)
    path = clip.path
    if output is not None:
        with replacing(output, overwrite=overwrite) as beside:
            shutil.copyfile(clip.path, beside)
        path = output
    if as_json:
        emit_json(
            {
                "address": str(clip.address),
                "revision": clip.revision,
                "path": str(path),
                "file_bytes": clip.header.file_bytes,
                "from_cache": clip.from_cache,
                "architecture": clip.header.architecture,
                "video": clip.header.video.to_json(),
            }
        )
    else:
        emit(str(path))
