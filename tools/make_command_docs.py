"""Write docs/commands.md from the command table: `python tools/make_command_docs.py`, with the project installed.

A test compares the page in the tree with what this makes.
"""

from pathlib import Path

from app.cli.main import group
from app.cli.table import COMMANDS, EXIT_CODES

__all__ = ["TARGET", "render"]

TARGET = Path(__file__).resolve().parent.parent / "docs" / "commands.md"

_HEAD = """# Commands

Data goes to standard output, everything else to standard error. `--json` is there on every command that reports.
`-v` (log to stderr; twice for more) and `--debug` (traceback of an error) may stand before or behind the command.

This page is made by `tools/make_command_docs.py` from the command table (`app/cli/table.py`).

## Exit codes

| code | meaning |
|---|---|
"""


def render() -> str:
    """Return the whole page as Markdown."""
    page = _HEAD + "".join(f"| {code} | {meaning} |\n" for code, meaning in EXIT_CODES.items())
    root = group.make_context("nervplay", [], resilient_parsing=True)
    for row in COMMANDS:
        command = group.get_command(root, row.name)
        assert command is not None
        context = command.make_context(row.name, [], root, resilient_parsing=True, terminal_width=100)
        page += f"\n## nervplay {row.name}\n\n{row.summary}\n\n```\n{command.get_help(context).strip()}\n```\n"
        for name, inner in getattr(command, "commands", {}).items():
            below = inner.make_context(name, [], context, resilient_parsing=True, terminal_width=100)
            page += f"\n### nervplay {row.name} {name}\n\n```\n{inner.get_help(below).strip()}\n```\n"
    return page


if __name__ == "__main__":
    TARGET.write_text(render(), encoding="utf-8")
