"""Sessions come back as they were; what is no session says so."""

import json
from pathlib import Path

import pytest

from app.core.restoring import Restoring
from app.core.session import Session, load_session, save_session
from app.core.sources import Kind, SourceRef, parse_source
from app.core.view import Mode, View
from nervplay.errors import InputError, MissingInputError, VersionError

SESSION = Session(
    sources=(parse_source("a.mp4"), parse_source("b.nerv"), None, parse_source("x265@b")),
    offsets=(0, -3, 0, 0),
    precisions=("", "bf16", "", ""),
    view=View(mode=Mode.SIDE, zoom=2.0),
    frame=31,
    range=(10, 40),
    speed=(3, 4),
)


def test_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "a.nvsession"
    save_session(SESSION, path)
    assert load_session(path) == SESSION
    plain = Session(sources=(None,) * 4)
    save_session(plain, path)
    assert load_session(path) == plain


@pytest.mark.parametrize(
    "change",
    [{"sources": []}, {"sources": [1, 2, 3, 4]}, {"speed": [1, 0]}, {"speed": "x"}, {"view": {"gain": 5}},
     {"range": [1]}, {"frame": "x"}, {"nervplay_session": "x"}, {"offsets": None},
     {"offsets": [0]}, {"precisions": []}],
)  # fmt: skip
def test_unsound(tmp_path: Path, change: dict) -> None:
    path = tmp_path / "a.nvsession"
    path.write_text(json.dumps(SESSION.to_json() | change))
    with pytest.raises(InputError, match="not sound"):
        load_session(path)


def test_other_files(tmp_path: Path) -> None:
    path = tmp_path / "a.nvsession"
    with pytest.raises(MissingInputError):
        load_session(path)
    for text in ("[]", "{", "{}"):
        path.write_text(text)
        with pytest.raises(InputError, match="no session"):
            load_session(path)
    path.write_text(json.dumps(SESSION.to_json() | {"nervplay_session": 2}))
    with pytest.raises(VersionError, match="update"):
        load_session(path)


def test_a_session_of_which_nothing_can_be_opened_is_over(player, open_in) -> None:
    restoring = Restoring(player)
    restoring.start(Session(sources=(SourceRef(Kind.VIDEO, "gone.mp4"), None, None, None), frame=7, range=(2, 8)))
    player.failed(player.slots[0], "no", SourceRef(Kind.VIDEO, "gone.mp4"))
    open_in(0)
    assert (player.transport.frame, player.transport.range) == (0, None)
