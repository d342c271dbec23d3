"""Shared option types, and the checks of targets that come before the work."""

import sys
from pathlib import Path

import click
import pytest
from loopback_hub import LoopbackHub
from loopback_hub.videos import make_nerv

from app.cli import options
from nervplay.errors import (
    CapabilityError,
    GeometryError,
    InputError,
    MissingInputError,
    OutputError,
    OutputExistsError,
    UsageError,
)


def test_nerv_path_that_exists(tmp_path: Path) -> None:
    file = tmp_path / "a.nerv"
    file.touch()
    assert options.NERV.convert(str(file), None, None) == file


@pytest.mark.parametrize("kind", [options.NERV, options.SOURCE])
@pytest.mark.parametrize("name", ["none.nerv", "x" * 300, "none/none.nerv"])
def test_missing_input(tmp_path: Path, kind: options.NervPath | options.SourcePath, name: str) -> None:
    with pytest.raises(MissingInputError, match=r"does not exist|cannot be opened"):
        kind.convert(str(tmp_path / name), None, None)


def test_a_folder_is_a_source_but_not_a_nerv_file(tmp_path: Path) -> None:
    assert options.SOURCE.convert(str(tmp_path), None, None) == tmp_path
    with pytest.raises(InputError, match="folder"):
        options.NERV.convert(str(tmp_path), None, None)


@pytest.mark.usefixtures("hub_home")
@pytest.mark.parametrize("text", ["hf://alice/bunny@main", "https://huggingface.co/alice/bunny"])
def test_an_address_on_the_hub_becomes_a_file(server: LoopbackHub, text: str) -> None:
    data = make_nerv(weights=500)
    server.add("alice/bunny", "model.safetensors", data)
    assert options.NERV.convert(text, None, None).read_bytes() == data


def test_without_the_library_an_address_is_named_with_its_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(CapabilityError, match=r"pip install nervplay\[hub\]"):
        options.NERV.convert("hf://alice/bunny", None, None)


def test_a_wrong_hub_address_is_named_as_such() -> None:
    with pytest.raises(UsageError, match="not an address"):
        options.NERV.convert("hf://alice", None, None)


def test_words_for_frames_are_checked_for_their_form_only() -> None:
    for kind, text in ((options.FRAMES, "0,5,10:,999999999999"), (options.SPAN, "5:999"), (options.POSITIONS, "7/2")):
        assert kind.convert(text, None, None) == text
    for kind, text in ((options.FRAMES, "0,x"), (options.SPAN, "5:2"), (options.POSITIONS, "7//2")):
        with pytest.raises(UsageError, match=text[2:]):
            kind.convert(text, None, None)


@pytest.mark.parametrize("text", ["nan", "inf", "-1", "x"])
def test_numbers_are_numbers(text: str) -> None:
    kind = options.Number(min=0)
    assert kind.convert("0.5", None, None) == 0.5
    with pytest.raises(click.BadParameter, match=text):
        kind.convert(text, None, None)


def test_size() -> None:
    assert options.SIZE.convert("640x320", None, None) == (640, 320)
    with pytest.raises(UsageError):
        options.SIZE.convert("640", None, None)
    with pytest.raises(GeometryError):
        options.SIZE.convert("0x320", None, None)


def test_suffix(tmp_path: Path) -> None:
    options.check_suffix(tmp_path / "A.NERV", ".nerv")
    with pytest.raises(UsageError, match=r"must end with \.nerv; rename it"):
        options.check_suffix(tmp_path / "a.mp4", ".nerv")


def test_target_that_can_be_written_leaves_no_trace(tmp_path: Path) -> None:
    options.check_target(tmp_path / "a.nerv", overwrite=False)
    assert list(tmp_path.iterdir()) == []


def test_existing_target(tmp_path: Path) -> None:
    target = tmp_path / "a.nerv"
    target.write_bytes(b"old")
    with pytest.raises(OutputExistsError, match="--overwrite"):
        options.check_target(target, overwrite=False)
    options.check_target(target, overwrite=True)
    assert target.read_bytes() == b"old"


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("name", ["none/a.nerv", "file/a.nerv", "."])
def test_impossible_target(tmp_path: Path, name: str, overwrite: bool) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"does not exist; make it first|is a folder"):
        options.check_target(tmp_path / name, overwrite=overwrite)


def test_a_folder_that_refuses_new_files() -> None:
    """/proc is there on Linux and refuses files from everybody, the superuser included."""
    if not Path("/proc/self").is_dir():
        pytest.skip("no /proc here")
    with pytest.raises(OutputError, match=r"cannot be written to|does not exist"):
        options.check_target(Path("/proc/a.nerv"), overwrite=False)
