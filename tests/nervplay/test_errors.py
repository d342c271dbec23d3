"""The exception tree: exit codes, built-in bases, and the drawing at its head."""

import inspect
import re

import pytest

from nervplay import errors

CLASSES = [value for _, value in inspect.getmembers(errors, inspect.isclass) if issubclass(value, errors.NervplayError)]


def test_the_drawing_names_every_class_with_its_exit_code() -> None:
    drawn = dict(re.findall(r"(\w+) +(\d+) ", errors.__doc__ or ""))
    assert drawn == {cls.__name__: str(cls.exit_code) for cls in CLASSES if cls is not errors.NervplayError}


def test_every_class_is_public() -> None:
    assert sorted(cls.__name__ for cls in CLASSES) == sorted(errors.__all__)


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        (errors.UsageError, ValueError),
        (errors.UnknownNameError, LookupError),
        (errors.FrameIndexError, IndexError),
        (errors.MissingInputError, FileNotFoundError),
        (errors.BitstreamError, ValueError),
        (errors.OutputExistsError, FileExistsError),
        (errors.RemoteError, OSError),
        (errors.CapabilityError, RuntimeError),
    ],
)
def test_each_error_is_also_a_builtin(error: type[Exception], builtin: type[Exception]) -> None:
    assert issubclass(error, builtin)


def test_unknown_name_offers_the_nearest() -> None:
    assert str(errors.UnknownNameError("preset", "hnerv-tinny", ["hnerv-tiny", "nerv-s"])) == (
        "unknown preset 'hnerv-tinny'; did you mean hnerv-tiny?"
    )
    assert "known: a, b" in str(errors.UnknownNameError("metric", "zzzz", ["b", "a"]))
    assert "unknown metric 'None'" in str(errors.UnknownNameError("metric", None, ["a"]))  # type: ignore[arg-type]


def test_frame_index_names_the_range() -> None:
    assert str(errors.FrameIndexError(132, 132)) == "frame 132 is outside the clip; its frames are 0 to 131"
