"""Pictures made of pictures."""

import numpy as np
import pytest

from nervplay.errors import GeometryError, UsageError
from nervplay.video import contact_sheet, difference, side_by_side, stacked, wipe


def plain(*rgb, size=(8, 12)):
    return np.broadcast_to(np.array(rgb, np.uint8), (*size, 3)).copy()


RED, BLUE = plain(250, 0, 0), plain(0, 0, 250)


def test_side_by_side_and_stacked():
    beside = side_by_side(RED, BLUE)
    assert beside.shape == (8, 24, 3)
    assert beside[0, 11].tolist() == [250, 0, 0]
    assert beside[0, 12].tolist() == [0, 0, 250]
    above = stacked(RED, BLUE)
    assert above.shape == (16, 12, 3)
    assert above[7, 0].tolist() == [250, 0, 0]
    assert above[8, 0].tolist() == [0, 0, 250]


def test_wipe_has_half_of_each_and_a_line():
    halves = wipe(RED, BLUE)
    assert halves.shape == (8, 12, 3)
    assert (halves[:, :6] == RED[:, :6]).all()
    assert (halves[:, 6] > 200).all()
    assert (halves[:, 7:] == BLUE[:, 7:]).all()


def test_difference_is_absolute_and_saturates():
    a, b = plain(10, 200, 100), plain(13, 100, 100)
    assert difference(a, b)[0, 0].tolist() == difference(b, a)[0, 0].tolist() == [12, 255, 0]
    assert difference(a, b, gain=1)[0, 0].tolist() == [3, 100, 0]
    assert difference(a, b, gain=10**6)[0, 0].tolist() == [255, 255, 0]
    with pytest.raises(UsageError, match="gain 0"):
        difference(a, b, gain=0)


@pytest.mark.parametrize("join", [side_by_side, stacked, wipe, difference])
def test_sizes_must_agree(join):
    with pytest.raises(GeometryError, match="12x8 and 12x9"):
        join(RED, plain(0, 0, 0, size=(9, 12)))


def find(sheet, colour):
    """Rows and columns of the box that a colour fills."""
    rows, columns = np.where((sheet == colour).all(-1))
    return rows.min(), rows.max() + 1, columns.min(), columns.max() + 1


def test_contact_sheet_places_every_tile():
    tiles = {
        "source": [plain(250, 0, 0, size=(45, 80)), plain(0, 250, 0, size=(45, 80))],
        "decoded\n31.2 dB": [plain(0, 0, 250, size=(45, 80)), plain(250, 250, 0, size=(90, 160))],
    }
    sheet = contact_sheet(tiles, ["frame 0", "frame 77"], tile_width=80, title="a clip")
    boxes = [find(sheet, frames[column][0, 0]) for frames in tiles.values() for column in (0, 1)]
    for top, bottom, left, right in boxes:
        assert (bottom - top, right - left) == (45, 80)
    (top, bottom, left, _), (beside_top, _, beside_left, _), (below_top, _, below_left, _), last = boxes
    assert top == beside_top
    assert left == below_left
    assert beside_left == last[2] > left + 80
    assert below_top == last[0] > bottom
    background = sheet[0, 0]
    assert (sheet[:top, left:] != background).any(), "headings and title"
    assert (sheet[top:bottom, :left] != background).any(), "a label beside the first row"
    assert (sheet[-10:] == background).all(), "a margin"
    assert (sheet[:, -10:] == background).all(), "a margin"


def test_contact_sheet_grows_with_its_words():
    tile = [plain(9, 9, 9)]
    narrow = contact_sheet({"a": tile}, ["0"], tile_width=64)
    assert contact_sheet({"a much longer label": tile}, ["0"], tile_width=64).shape[1] > narrow.shape[1]
    assert contact_sheet({"a": tile}, ["0"], tile_width=64, title="t" * 99).shape[1] > narrow.shape[1]


def test_contact_sheet_needs_whole_rows():
    with pytest.raises(UsageError, match="row 'a' has 1 pictures for 2 headings"):
        contact_sheet({"a": [RED]}, ["0", "1"])
    for rows, headings, width in (({}, ["0"], 64), ({"a": []}, [], 64), ({"a": [RED]}, ["0"], 0)):
        with pytest.raises(UsageError, match="at least one row"):
            contact_sheet(rows, headings, tile_width=width)
