"""docs/models is what the registry says."""

import runpy
from pathlib import Path

from nervplay.models import architecture_names

ROOT = Path(__file__).resolve().parents[2]


def test_the_pages_in_the_tree_are_those_of_the_registry() -> None:
    pages = runpy.run_path(str(ROOT / "tools" / "make_model_docs.py"))["render_all"]()
    folder = ROOT / "docs" / "models"
    assert (
        {path.name for path in folder.iterdir()}
        == pages.keys()
        == {f"{n}.md" for n in architecture_names()} | {"README.md"}
    )
    for name, page in pages.items():
        assert (folder / name).read_text() == page, f"{name} is out of date: python tools/make_model_docs.py"


def test_every_field_of_a_configuration_is_explained() -> None:
    for page in (ROOT / "docs" / "models").glob("*.md"):
        for row in page.read_text().splitlines():
            if row.startswith("| `") and row.count(" | ") == 3:
                assert not row.endswith("|  |"), f"{page.name}: {row}"
