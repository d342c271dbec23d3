"""`nervplay completion`: names and files at a press of Tab."""

import click
from click.shell_completion import get_completion_class

from app.cli.command import COMPLETION
from app.cli.command import command as nervplay_command
from app.cli.options import Name

__all__ = ["command"]

_SHELLS = ("bash", "zsh", "fish")


@nervplay_command(
    "completion",
    examples=(
        "echo 'eval \"$(nervplay completion bash)\"' >> ~/.bashrc",
        "echo 'eval \"$(nervplay completion zsh)\"' >> ~/.zshrc",
        "nervplay completion fish > ~/.config/fish/completions/nervplay.fish",
    ),
    codes=(2,),
)
@click.argument("shell", type=Name("shell", _SHELLS), metavar="|".join(_SHELLS))
def command(*, shell: str) -> None:
    """Print the script with which a shell completes commands, options, presets, precisions and files of nervplay.

    The examples make it part of every shell that starts from then on. Bash must be 4.4 or newer.
    """
    maker = get_completion_class(shell)
    assert maker is not None, shell
    group = click.get_current_context().find_root().command
    click.echo(maker(group, {}, "nervplay", COMPLETION).source(), nl=False)
