import io
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from nervplay.codec import official_load
from nervplay.codec.official_load import load_tensors
from nervplay.errors import CheckpointError, MissingInputError


class Touch:
    """Pickles to a call that would leave a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return Path.touch, (self.path,)  # type: ignore[return-value]


def archive(path: Path, pickled: bytes, *, compression: int = zipfile.ZIP_STORED, name: str = "a/data.pkl") -> Path:
    with zipfile.ZipFile(path, "w", compression) as file:
        file.writestr(name, pickled)
        file.writestr("a/version", b"3\n")
    return path


def test_tensors_come_out_with_joined_names(tmp_path: Path) -> None:
    path = tmp_path / "a file.pth"
    shared = torch.arange(6.0).view(2, 3)
    tree = {
        "epoch": 3,
        "state_dict": OrderedDict({"a.weight": shared, "b.weight": shared.t(), "half": torch.ones(2).half()}),
        "optimizer": {"state": {0: {"exp_avg": torch.zeros(4)}}},
    }
    torch.save(tree, path)
    tensors = load_tensors(path)
    assert sorted(tensors) == ["state_dict/a.weight", "state_dict/b.weight", "state_dict/half"]
    assert torch.equal(tensors["state_dict/b.weight"], shared.t())
    assert tensors["state_dict/half"].dtype == torch.float16


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match=r"no.pth does not exist"):
        load_tensors(tmp_path / "no.pth")


def test_code_in_a_pickle_is_not_run(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    path = tmp_path / "evil.pth"
    torch.save({"state_dict": Touch(mark)}, path)
    with pytest.raises(CheckpointError, match="which is no tensor"):
        load_tensors(path)
    assert not mark.exists()
    archive(path, pickle.dumps({"state_dict": Touch(mark)}, protocol=4))
    with pytest.raises(CheckpointError, match="STACK_GLOBAL"):
        load_tensors(path)
    assert not mark.exists()


def test_a_file_that_inflates_is_refused(tmp_path: Path) -> None:
    path = archive(tmp_path / "bomb.pth", b"\0" * 1_000_000, compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(CheckpointError, match="deflated"):
        load_tensors(path)


def test_entries_that_overlap_are_refused(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.pth", pickle.dumps({}, protocol=2))
    data = bytearray(path.read_bytes())
    place = data.index(b"PK\x01\x02")
    data[place + 20 : place + 28] = (10_000).to_bytes(4, "little") * 2
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match="larger than the file"):
        load_tensors(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a zip file"),
        (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", "before 1.6"),
    ],
)
def test_what_is_no_archive(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "x.pth").write_bytes(content)
    with pytest.raises(CheckpointError, match=message):
        load_tensors(tmp_path / "x.pth")


def test_damaged_and_missing_pickles(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="pickle is damaged"):
        load_tensors(archive(tmp_path / "a.pth", b"\x80\x02}q\x00("))
    with pytest.raises(CheckpointError, match=r"one data\.pkl"):
        load_tensors(archive(tmp_path / "b.pth", b"", name="a/other.pkl"))


def test_a_truncated_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    torch.save({"state_dict": {"x": torch.ones(1000)}}, path)
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(CheckpointError, match="not a checkpoint"):
        load_tensors(path)


def test_a_tensor_larger_than_its_storage_ends_at_the_memory_limit(tmp_path: Path) -> None:
    """Stride 0 makes 1 byte look like 1.5 GB; only the child notices, and only the child ends."""
    path = tmp_path / "x.pth"
    torch.save({"state_dict": {"x": torch.ones(1, dtype=torch.uint8).expand(1_500_000_000)}}, path)
    with pytest.raises(CheckpointError, match="memory"):
        load_tensors(path)


def test_loading_takes_limited_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save({"state_dict": {"x": torch.ones(1)}}, tmp_path / "x.pth")
    monkeypatch.setattr(official_load, "_SECONDS", 0.05)
    with pytest.raises(CheckpointError, match=r"more than 0\.05 seconds"):
        load_tensors(tmp_path / "x.pth")


def test_large_files_are_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = io.BytesIO()
    torch.save({}, buffer)
    (tmp_path / "x.pth").write_bytes(buffer.getvalue())
    monkeypatch.setattr(official_load, "_MAX_FILE", 10)
    with pytest.raises(CheckpointError, match="over 10"):
        load_tensors(tmp_path / "x.pth")
