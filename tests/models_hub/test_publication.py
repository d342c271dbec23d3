"""What can be published is checked before any request."""

import pytest

from models_hub import Publication
from nervplay.errors import UsageError


def test_names_of_variants_are_those_of_files() -> None:
    with pytest.raises(UsageError, match="variant name"):
        Publication(video=None, title="x", variants={"../low": None})


@pytest.mark.parametrize(("field", "size"), [("poster", 200_001), ("preview", 2_000_001)])
def test_pictures_have_a_size(field: str, size: int) -> None:
    Publication(video=None, title="x", **{field: b"0" * (size - 1)})
    with pytest.raises(UsageError, match=f"the {field} has {size} bytes"):
        Publication(video=None, title="x", **{field: b"0" * size})
