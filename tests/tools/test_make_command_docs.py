"""The page on commands is what its tool makes of the command table."""

import runpy
from pathlib import Path

from app.cli.table import COMMANDS, EXIT_CODES

REPOSITORY = Path(__file__).resolve().parents[2]


def test_the_page_is_up_to_date() -> None:
    tool = runpy.run_path(str(REPOSITORY / "tools" / "make_command_docs.py"))
    page = tool["render"]()
    assert tool["TARGET"].read_text(encoding="utf-8") == page, "run: python tools/make_command_docs.py"
    for row in COMMANDS:
        assert f"\n## nervplay {row.name}\n" in page
    for code, meaning in EXIT_CODES.items():
        assert page.count(f"| {code} | {meaning} |") == 1
