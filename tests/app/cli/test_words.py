"""Numbers and foreign text as people read them."""

import pytest

from app.cli import words


def test_printable_keeps_letters_of_all_scripts_and_replaces_controls() -> None:
    assert words.printable("Käse 文 \x1b[31m\n") == "Käse 文 \ufffd[31m\ufffd"


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1 kB (1,000 bytes)"), (1_503_112, "1.5 MB (1,503,112 bytes)")],
)
def test_human_bytes(count: int, text: str) -> None:
    assert words.human_bytes(count) == text


@pytest.mark.parametrize(("count", "text"), [(12, "12"), (1499, "1.5k"), (1_510_000, "1.51M"), (2.019e11, "202G")])
def test_human_count(count: float, text: str) -> None:
    assert words.human_count(count) == text


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0:00"), (61, "1:01"), (3599.6, "1:00:00"), (36610, "10:10:10")])
def test_human_seconds(seconds: float, text: str) -> None:
    assert words.human_seconds(seconds) == text
