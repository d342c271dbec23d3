"""Official command lines as words: what the parsers of all official codes share."""

import argparse
import shlex
from typing import NoReturn

from nervplay.errors import UsageError

__all__ = ["OfficialParser", "numbers", "parse_words", "refuse", "whole_numbers", "words_of"]


class OfficialParser(argparse.ArgumentParser):
    """Knows official flags; raises `UsageError` where argparse would leave the process.

    Args:
        one: flags with one value that do not change the network, joined by blanks; "--long/-s" has two spellings.
        none: the same without a value.
    """

    def __init__(self, one: str = "", none: str = "") -> None:
        super().__init__(add_help=False)
        for flags in one.split():
            self.add_argument(*flags.split("/"))
        for flags in none.split():
            self.add_argument(*flags.split("/"), action="store_true")

    def error(self, message: str) -> NoReturn:
        """Raise `UsageError` with what argparse found."""
        raise UsageError(f"the official arguments: {message}; give the command line that the checkpoint was made with")


def words_of(arguments: str) -> list[str]:
    """Return the words of a command line; "python train.py" before them and line continuations are skipped.

    Args:
        arguments: the command line as one string.

    Raises:
        UsageError: quotes that do not close.
    """
    try:
        words = shlex.split(arguments.replace("\\\n", " "))
    except ValueError as error:
        raise UsageError(
            f"the official arguments {arguments!r} do not split into words ({error}); check quotes"
        ) from None
    scripts = [place for place, word in enumerate(words) if word.endswith(".py")]
    return words[scripts[0] + 1 :] if scripts else words


def parse_words(parser: argparse.ArgumentParser, arguments: str) -> argparse.Namespace:
    """Return the flags of a command line, see `words_of`.

    Args:
        parser: knows the flags.
        arguments: the command line as one string.

    Raises:
        UsageError: a flag or a value that the official parser does not take.
    """
    return parser.parse_args(words_of(arguments))


def numbers(flag: str, value: str, count: int) -> list[float]:
    """Return the last `count` numbers of the value of a flag, such as "64_16".

    Raises:
        UsageError: not so many numbers.
    """
    try:
        found = [float(part) for part in value.split("_")[-count:]]
    except ValueError:
        found = []
    if len(found) != count:
        raise UsageError(f"--{flag} {value} of the official arguments must be {count} numbers joined by '_'")
    return found


def whole_numbers(flag: str, value: str, count: int) -> list[int]:
    """Return what `numbers` does, cut to whole numbers.

    Raises:
        UsageError: not so many numbers.
    """
    return [int(number) for number in numbers(flag, value, count)]


def refuse(flag: str, value: object, reason: str) -> UsageError:
    """Return the error for a flag that is known but cannot be had, with the reason in words."""
    return UsageError(f"--{flag} {value} of the official arguments cannot be had here: {reason}")
