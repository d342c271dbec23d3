"""docs/guides/hub.md: its commands exist with their options, its addresses are such, its Python compiles."""

import re
import shlex
from pathlib import Path

import click
import pytest

from app.cli.main import group
from models_hub import parse_address

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "guides" / "hub.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^(nervplay .*?)(?:\s+#.*)?$", PAGE, re.MULTILINE)


def test_there_are_commands() -> None:
    assert len(COMMANDS) > 4


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_exist_with_their_options(line: str) -> None:
    _, name, *words = shlex.split(line)
    root = group.make_context("nervplay", [], resilient_parsing=True)
    command = group.get_command(root, name)
    assert command is not None
    if isinstance(command, click.Group):
        command = command.commands[words[0]]
    known = {option for param in command.params for option in param.opts}
    assert {word for word in words if word.startswith("--")} <= known


def test_addresses() -> None:
    addresses = re.findall(r"hf://[a-z][^\s`\"]*", PAGE)
    assert len(addresses) > 4
    for address in addresses:
        parse_address(address.rstrip("):"))


def test_python() -> None:
    for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        compile(block, "hub.md", "exec")
