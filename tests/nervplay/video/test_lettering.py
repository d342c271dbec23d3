"""Words on frames."""

import numpy as np
import pytest

from nervplay.errors import UsageError
from nervplay.video.lettering import Label


def test_a_label_darkens_its_plate_and_writes_on_it():
    frame = np.full((90, 160, 3), 100, np.uint8)
    label = Label.for_frame("frame 7", 90)
    label.put(frame)
    rows, columns = np.where((frame != 100).any(-1))
    assert (rows.min(), columns.min()) == (label.margin, label.margin)
    assert (rows.max() + 1, columns.max() + 1) == tuple(side + label.margin for side in label.picture.shape[:2])
    assert frame[label.margin, label.margin].tolist() == [40, 40, 40], "plate: 40 % shines through"
    assert frame.max() > 220, "letters"


def test_a_label_goes_to_its_corner_and_is_cut_at_the_edge():
    frame = np.zeros((40, 60, 3), np.uint8)
    Label.for_frame("a word that is far too long for this", 40).put(frame, top=20, left=30)
    assert (frame[:20] == 0).all()
    assert (frame[:, :30] == 0).all()
    assert frame[20:, 30:].max() > 200


def test_words_have_one_height():
    assert Label.for_frame("source", 720).picture.shape[0] == Label.for_frame("Ag 33.5 dB", 720).picture.shape[0]
    assert Label.for_frame("a", 1080).picture.shape[0] > Label.for_frame("a", 360).picture.shape[0]


def test_an_empty_label():
    with pytest.raises(UsageError, match="empty"):
        Label.for_frame(" ", 90)
