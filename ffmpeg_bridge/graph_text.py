r"""Filter graphs as people write them for FFmpeg, taken apart: "split[a][b];[a]hflip[c];[b][c]hstack".

FFmpeg's own parser is not within PyAV's reach. The grammar is that of "Filtergraph syntax" in ffmpeg-filters(1): chains
with ';' between, filters with ',' between, labels in brackets, 'quotes' and \ that take one character as it is.
"""

from dataclasses import dataclass

from nervplay.errors import UsageError

__all__ = ["FilterText", "parse_graph"]

_ENDS = "[],;"
_BLANKS = " \t\r\n"


@dataclass(frozen=True, kw_only=True)
class FilterText:
    """One filter of a graph.

    Args:
        name: FFmpeg's name.
        instance: the name after @; None for none.
        arguments: its options, one level of quoting removed; None for none.
        inputs: labels before it.
        outputs: labels behind it.
    """

    name: str
    instance: str | None
    arguments: str | None
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def parse_graph(text: str) -> list[list[FilterText]]:
    """Return the chains of a graph, each a list of filters.

    Raises:
        UsageError: text of another form; says at which character.
    """
    reader = _Reader(text)
    chains = [[reader.filter()]]
    while not reader.at_end():
        if reader.take(";"):
            if reader.at_end():  # FFmpeg allows one at the end
                break
            chains.append([reader.filter()])
        elif reader.take(","):
            chains[-1].append(reader.filter())
        else:
            raise reader.error("',' or ';' must stand between filters")
    return chains


class _Reader:
    """A place in the text."""

    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0

    def error(self, rule: str) -> UsageError:
        return UsageError(f"filter graph '{self._text}': {rule}, at character {self._at + 1}; see man ffmpeg-filters")

    def at_end(self) -> bool:
        self._skip_blanks()
        return self._at == len(self._text)

    def take(self, letter: str) -> bool:
        """Step over `letter` if it is next."""
        if self._text.startswith(letter, self._at):
            self._at += 1
            return True
        return False

    def filter(self) -> FilterText:
        """Read labels, name, arguments, labels."""
        inputs = self._labels()
        name, _, instance = self._token(_ENDS + "=").partition("@")
        if not name:
            raise self.error("a filter's name is missing")
        arguments = self._token(_ENDS) if self.take("=") else None
        outputs = self._labels()
        return FilterText(
            name=name, instance=instance or None, arguments=arguments or None, inputs=inputs, outputs=outputs
        )

    def _labels(self) -> tuple[str, ...]:
        """Read labels in brackets."""
        labels = []
        self._skip_blanks()
        while self.take("["):
            label = self._token("]")
            if not label or not self.take("]"):
                raise self.error("a label is empty or lacks its ']'")
            labels.append(label)
            self._skip_blanks()
        return tuple(labels)

    def _token(self, ends: str) -> str:
        """Read up to one of `ends`, quotes and backslashes resolved, blanks around it dropped."""
        self._skip_blanks()
        found, kept = "", 0  # characters up to `kept` were quoted: blanks among them stay
        while self._at < len(self._text) and self._text[self._at] not in ends:
            letter = self._text[self._at]
            self._at += 1
            if letter == "\\" and self._at < len(self._text):
                found += self._text[self._at]
                self._at += 1
                kept = len(found)
            elif letter == "'":
                close = self._text.find("'", self._at)
                if close < 0:
                    raise self.error("a quote is not closed")
                found += self._text[self._at : close]
                self._at = close + 1
                kept = len(found)
            else:
                found += letter
        return found[:kept] + found[kept:].rstrip(_BLANKS)

    def _skip_blanks(self) -> None:
        while self._at < len(self._text) and self._text[self._at] in _BLANKS:
            self._at += 1
