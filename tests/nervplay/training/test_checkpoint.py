"""The resume file: what is written is read, anything else is refused, and the message says what is different."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from nervplay.errors import CheckpointError, OutputError
from nervplay.models.base import ModelConfig
from nervplay.training import Recipe, resume_path
from nervplay.training.checkpoint import ResumeState, identity_of, read_resume_file, write_resume_file
from nervplay.training.frames import ClipFrames
from nervplay.video.source import ArraySource

IDENTITY = {"architecture": "plain", "recipe": {"epochs": 3, "loss": "L2"}, "source": {"width": 4}}
STATE = ResumeState(
    epoch=2,
    step=5,
    tensors={
        "model.w": torch.arange(6.0).view(2, 3),
        "optimiser.step.w": torch.tensor(3.0),
        "rng.cpu": torch.arange(5),
    },
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    target = tmp_path / "clip.nerv.resume"
    write_resume_file(target, STATE, IDENTITY)
    return target


def test_what_is_written_is_read(path: Path) -> None:
    state = read_resume_file(path, IDENTITY)
    assert (state.epoch, state.step) == (2, 5)
    assert state.tensors.keys() == STATE.tensors.keys()
    for name, value in STATE.tensors.items():
        assert state.tensors[name].dtype == value.dtype
        assert torch.equal(state.tensors[name], value)


def test_writing_again_replaces_and_leaves_nothing_else(path: Path) -> None:
    before = read_resume_file(path, IDENTITY)
    write_resume_file(path, ResumeState(epoch=2, step=6, tensors=STATE.tensors), IDENTITY)
    assert read_resume_file(path, IDENTITY).step == 6
    assert torch.equal(before.tensors["model.w"], STATE.tensors["model.w"]), "a state that was read outlives its file"
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_tensors_of_any_memory_order_are_written(tmp_path: Path) -> None:
    value = torch.rand(2, 3, 4, 5).to(memory_format=torch.channels_last)
    write_resume_file(tmp_path / "r", ResumeState(epoch=0, step=1, tensors={"model.w": value}), IDENTITY)
    assert torch.equal(read_resume_file(tmp_path / "r", IDENTITY).tensors["model.w"], value)


def test_the_file_lies_beside_its_target() -> None:
    assert resume_path(Path("out/clip.nerv")) == Path("out/clip.nerv.resume")


@pytest.mark.parametrize("length", [0, 4, 8, 40, -40, -1])
def test_truncated_files_are_refused(path: Path, length: int) -> None:
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(CheckpointError, match="--overwrite"):
        read_resume_file(path, IDENTITY)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300, deadline=None)
@given(st.data())
def test_flipped_bits_are_refused(path: Path, data: st.DataObject) -> None:
    broken = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(broken) - 1))
    broken[place] ^= 1 << data.draw(st.integers(0, 7))
    path.with_name("broken").write_bytes(broken)
    with pytest.raises(CheckpointError, match="--overwrite"):
        read_resume_file(path.with_name("broken"), IDENTITY)


def test_foreign_files_are_refused(path: Path) -> None:
    save_file({"a": torch.zeros(2)}, path)
    with pytest.raises(CheckpointError, match="not a resume file"):
        read_resume_file(path, IDENTITY)
    path.write_bytes(b"\x00" * 100)
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_resume_file(path, IDENTITY)
    path.unlink()
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_resume_file(path, IDENTITY)


def test_another_version_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nervplay.training.checkpoint.VERSION", "3")
    with pytest.raises(CheckpointError, match="version 2, not 3"):
        read_resume_file(path, IDENTITY)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"architecture": "other"}, "its architecture is plain, not other"),
        ({"recipe": {"epochs": 4, "loss": "L2"}}, r"its recipe\.epochs is 3, not 4"),
        ({"recipe": {"epochs": 3, "loss": "L1"}}, r"its recipe\.loss is L2, not L1"),
        ({"recipe": {"epochs": 3}}, r"its recipe\.loss is L2, not None"),
        ({"source": {"width": 4, "height": 2}}, r"its source\.height is None, not 2"),
    ],
)
def test_another_run_is_refused_by_the_field_that_differs(path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(CheckpointError, match=f"{message}.*--overwrite"):
        read_resume_file(path, {**IDENTITY, **change})


def test_a_folder_that_is_not_there_is_an_output_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError):
        write_resume_file(tmp_path / "missing" / "r", STATE, IDENTITY)


@pytest.fixture
def identities(plain: Any, plain_config: ModelConfig) -> Callable[[np.ndarray], dict[str, Any]]:
    """A function that gives the identity of a run over the frames it is given."""

    def make(array: np.ndarray) -> dict[str, Any]:
        source = ArraySource(array)
        return identity_of(plain(plain_config), Recipe(), source.spec, ClipFrames(source, torch.device("cpu")))

    return make


def test_the_identity_knows_network_recipe_and_frames(identities: Any, moving_clip: ArraySource) -> None:
    array = np.stack(list(moving_clip.frames()))
    identity = identities(array)
    assert json.loads(json.dumps(identity)) == identity
    assert identity["architecture"] == "plain"
    assert identity["config"]["frame_count"] == 6
    assert identity["recipe"] == Recipe().to_json()
    assert identity == identities(array.copy())
    for index in (0, 5):
        other = array.copy()
        other[index, 7, 9, 1] ^= 1
        assert identities(other)["source"] != identity["source"]


@pytest.mark.parametrize("count", [1, 2, 30])
def test_the_identity_works_for_clips_of_any_length(plain: Any, count: int) -> None:
    source = ArraySource(np.zeros((count, 4, 4, 3), np.uint8))
    model = plain(ModelConfig(width=4, height=4, frame_count=count))
    identity = identity_of(model, Recipe(), source.spec, ClipFrames(source, torch.device("cpu")))
    assert len(identity["source"]["frames_sha256"]) == 64
