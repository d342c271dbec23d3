"""The player over a backend without threads: open, show in step, seek, precision, offsets, measuring, swapping."""

from collections import Counter
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from app.core.restoring import capture
from app.core.slot import Alignment
from app.core.sources import parse_source


@pytest.fixture
def pair(open_in, backend):
    pair = open_in(0, sequential=True), open_in(1, "nerv")
    backend.work(3)
    return pair


def shades(player) -> list[int | None]:
    return [None if picture is None else int(picture[0, 0, 0]) for picture in player.pictures]


def test_nothing_is_shown_before_both_are_there(player, open_in, backend) -> None:
    events = Counter()
    player.events.on("frame", lambda: events.update(["frame"]))
    a, b = open_in(0), open_in(1, "nerv")
    a.cache.put(0, backend_picture(0))
    player.tick()
    assert shades(player) == [None] * 4
    b.cache.put(0, backend_picture(0, 1))
    player.tick()
    assert shades(player) == [0, 1, None, None]
    assert events["frame"] == 1
    player.tick()
    assert events["frame"] == 1


def backend_picture(key, shade: int = 0) -> np.ndarray:
    return np.full((24, 32, 4), int(8 * key) + shade, np.uint8)


def test_a_video_is_opened_again_as_the_network_saw_it(player, open_in, backend) -> None:
    a = open_in(0)
    assert a.like is None
    b = open_in(1, "nerv")
    again = [call for call in backend.calls if call[:2] == ("open", "A")]
    assert again[-1][3] == Alignment(b.facts.spec, {"name": "clip"})
    assert a.opening
    player.opened(a, a.ref, a.facts, Alignment(a.facts.spec))
    assert [call for call in backend.calls if call[:2] == ("open", "A")] == again
    player.close_slot(b)
    assert not player.has_pair


def test_answers_to_old_questions_are_ignored(player, open_in) -> None:
    a = open_in(0)
    facts = a.facts
    player.open(a, parse_source("other.mp4"))
    player.opened(a, parse_source("A.video"), replace(facts, title="late"), Alignment(facts.spec))
    assert a.facts is facts
    assert (str(a.ref), str(a.source)) == ("other.mp4", "A.video")
    player.failed(a, "other.mp4 does not exist", parse_source("other.mp4"))
    assert (player.message, a.opening, a.facts) == ("other.mp4 does not exist", False, facts)
    player.open(player.slots[2], parse_source("c.mp4"))
    player.failed(player.slots[2], "no", parse_source("c.mp4"))
    assert player.slots[2].ref is None


def test_what_cannot_be_opened_leaves_the_slot_as_it_was(player, open_in) -> None:
    open_in(0)
    b = open_in(1, "nerv", precision="bf16")
    player.nudge(2)
    before, ticket = capture(player), player.quality.ticket(*player.slots[:2])
    player.open(b, parse_source("bad.nerv"))
    player.open(b, parse_source("worse.nerv"), precision="int8")
    player.failed(b, "bad", parse_source("bad.nerv"))
    assert (b.opening, str(b.ref)) == (True, "worse.nerv"), "the answer to an older question"
    player.failed(b, "worse", parse_source("worse.nerv"))
    assert not b.opening
    assert (capture(player), player.quality.ticket(*player.slots[:2])) == (before, ticket)


def test_values_belong_to_what_is_shown(player, pair, backend) -> None:
    a, b = pair
    backend.work(3)
    ticket = player.quality.ticket(a, b)
    player.open(b, parse_source("slow.nerv"))
    assert player.quality.ticket(a, b) == ticket, "the pictures are still those of the one before"
    player.opened(b, b.ref, b.facts, Alignment(b.facts.spec))
    assert player.quality.ticket(a, b) != ticket
    kept = player.quality.ticket(a, b)
    player.opened(b, b.ref, replace(b.facts, stamp=7), Alignment(b.facts.spec))
    assert player.quality.ticket(a, b) != kept, "the same name, written anew"


@pytest.mark.parametrize(("loop", "shown"), [(True, {2, 3, 4}), (False, {4})])
def test_a_loop_shorter_than_decoding_a_frame_takes(player, open_in, backend, hand, *, loop: bool, shown: set) -> None:
    slot = open_in(1, "nerv")
    backend.work()
    player.transport.set_range(2, 4)
    player.transport.loop = loop
    player.transport.play()
    seen = set()
    for _ in range(20):
        slot.stats.add(0.9)
        player.tick()
        hand.wait(0.7)
        backend.work()
        seen.add(player.shown_frame)
    assert seen - {0} == shown
    assert player.transport.playing is loop


def test_only_frames_that_both_have_are_measured(player, open_in, backend) -> None:
    open_in(0, count=10)
    b = open_in(1, "nerv", count=4)
    player.nudge(-1)
    backend.work(30)
    found = []
    while (job := player._next_to_measure()) is not None:
        found.append(job[1])
        player.measured(job[1], {"psnr": 30.0, "ms-ssim": 0.9}, player.quality.ticket(player.slots[0], b))
    assert sorted(found) == [1, 2, 3, 4], "else a picture that stands still would be measured"
    assert player.settled
    player.transport.play()
    player.seek(7)
    backend.work(10)
    assert 7 not in {call[1] for call in backend.calls if call[0] == "measure"}


def test_frames_that_cannot_be_decoded_stop_nothing(player, hand, pair, backend) -> None:
    a, b = pair
    for frame in range(3, 10):
        a.cache.lose(frame, a.cache.generation)
    backend.work(10)
    player.seek(3)
    assert 3 in backend.wanted["A"], "a seek tries again"
    a.cache.lose(3, a.cache.generation)
    player.tick()
    player.seek(1)
    backend.work()
    assert (player.shown_frame, backend.wanted["A"]) == (1, [])
    while (job := player._next_to_measure()) is not None:
        player.measured(job[1], {"psnr": 30.0, "ms-ssim": 0.9}, player.quality.ticket(a, b))
    assert (player.track.tracks["psnr"].known, player.settled) == (3, True)
    player.transport.loop = False
    for every_frame in (True, False):
        player.seek(0)
        player.transport.set_every_frame(every_frame)
        player.transport.play()
        for _ in range(20):
            hand.wait(0.11)
            player.tick()
        assert (player.transport.frame, player.transport.playing) == (2, False)
    a.cache.clear()
    assert not player.lost(5)


def test_seek_shows_the_newest_wish_and_what_lay_between(player, pair, backend) -> None:
    backend.work(12)
    player.settings.cache_mb = 0
    for slot in pair:
        slot.cache.clear()
    shown = []
    player.events.on("frame", lambda: shown.append(player.shown_frame))
    for frame in (5, 6, 7):
        player.seek(frame)
    backend.work(1)
    assert shown[0] == 5, "the first wish is not thrown away while the hand moves on"
    backend.work(1)
    assert shown[:2] == [5, 7]


def test_playing_in_step_with_a_slow_network(player, pair, backend, hand) -> None:
    player.settings.cache_mb = 0
    b = pair[1]
    for slot in pair:
        slot.cache.budget = 0
        slot.cache.clear()
    b.stats.add(0.25)  # seconds per frame, at ten frames per second
    player.transport.play()
    player.tick()
    assert backend.wanted["B"][:3] == [3, 5, 8], "what cannot be in time is left out"
    assert backend.wanted["A"] == backend.wanted["B"], "both decode the same frames"
    hand.wait(0.3)
    for slot in pair:
        slot.cache.put(3, backend_picture(3))
    player.tick()
    assert player.shown_frame == 3


def test_shown_in_real_time_when_all_is_cached(player, pair, backend, hand) -> None:
    backend.work(12)
    assert pair[0].cache.frames() == pair[1].cache.frames() == list(range(10))
    shown = []
    player.events.on("frame", lambda: shown.append(player.shown_frame))
    player.transport.play()
    for _ in range(100):
        hand.wait(0.0101)
        player.tick()
    assert shown == [1, 2, 3, 4, 5, 6, 7, 8, 9, 0]
    assert backend.wanted == {"A": [], "B": []}


def test_sources_of_different_speed_decode_nothing_twice(player, open_in, backend, hand) -> None:
    player.settings.cache_mb = 0
    slow, fast = open_in(0, count=100), open_in(1, "nerv", count=100)
    player.tick()
    backend.work(3)
    slow.stats.add(0.09)
    fast.stats.add(0.02)
    backend.decoded.clear()
    player.transport.play()
    for _ in range(50):
        for turn in range(6):
            for slot in (slow, fast):
                missing = slot.cache.missing(backend.wanted[slot.name])
                if missing and (slot is fast or turn == 5):
                    slot.cache.put(missing[0], backend_picture(missing[0] % 30))
                    backend.decoded.append((slot.name, missing[0]))
            hand.wait(0.015)
            player.tick()
    assert max(Counter(backend.decoded).values()) == 1
    assert player.transport.shown + player.transport.skipped >= 40
    assert player.transport.skipped <= 1


def test_backward_a_file_is_read_in_rising_chunks(player, open_in, backend) -> None:
    player.settings.cache_mb = 0
    open_in(0, sequential=True, count=100)
    player.transport.seek(50)
    player.transport.play(-1)
    player.tick()
    wanted = backend.wanted["A"]
    assert wanted == sorted(wanted, key=lambda frame: (-(frame // 2), frame))
    assert wanted[:2] == [48, 49]
    player.slots[0].facts = replace(player.slots[0].facts, sequential=False)
    player.tick()
    assert backend.wanted["A"][:2] == [49, 48]


def test_precision(player, pair, backend) -> None:
    b = pair[1]
    player.set_precision("bf16")
    player.set_precision("bf16")
    assert [call for call in backend.calls if call[0] == "precision"] == [("precision", "B", "bf16", "cpu")]
    before = shades(player)
    b.cache.clear()
    player.switched(b, replace(b.facts, precision="bf16"))
    assert (b.precision, b.pending_precision) == ("bf16", "")
    assert shades(player) == before, "no black frame"
    assert backend.wanted["B"][0] == 0
    player.set_device("cuda")
    assert backend.calls[-1] == ("precision", "B", "bf16", "cuda")
    player.failed(b, "no CUDA device")
    player.switched(player.slots[3], b.facts)
    assert player.slots[3].facts is None


def test_offset(player, pair, backend) -> None:
    backend.work(20)
    player.nudge(1)
    assert shades(player)[:2] == [0, 9]
    player.nudge(-3)
    assert pair[1].offset == -2
    assert shades(player)[:2] == [0, 1], "before its first frame a clip shows that"
    player.nudge(0)
    assert pair[1].offset == 0


def test_between_frames(player, open_in, backend) -> None:
    open_in(0)
    open_in(1, "nerv", continuous_time=True)
    backend.work(3)
    player.seek(3, Fraction(1, 2))
    backend.work(2)
    assert shades(player)[:2] == [24, 29]
    player.seek(9, Fraction(1, 2))
    backend.work(2)
    assert player.keys(9, Fraction(1, 2))[1] == 9, "nothing lies behind the last frame"


def measures(backend) -> list:
    return [call[1:3] for call in backend.calls if call[0] == "measure"]


def test_measuring_while_playing_rests(player, pair, backend) -> None:
    assert measures(backend) == [(0, ("psnr", "ms-ssim"))]
    ticket = player.quality.ticket(*pair)
    for frame in range(10):
        backend.work(3)
        player.measured(measures(backend)[-1][0], {"psnr": 40.0 - frame, "ms-ssim": None}, ticket)
    assert [frame for frame, _ in measures(backend)] == list(range(10))
    assert measures(backend)[-1][1] == ("psnr",), "frames of this size have no MS-SSIM"
    assert player.track.tracks["psnr"].known == 10
    player.go_to_worst(0)
    assert player.transport.frame == 9


def test_measuring_while_playing_and_off(player, pair, backend, hand) -> None:
    ticket = player.quality.ticket(*pair)
    player.measured(0, {"psnr": 30.0, "ms-ssim": 0.9}, ticket)
    player.quality.busy = False
    player.quality.on = False
    backend.work(12)
    before = len(measures(backend))
    player.transport.play()
    hand.wait(0.25)
    player.tick()
    assert len(measures(backend)) == before
    player.quality.on = True
    hand.wait(0.1)
    player.tick()
    assert measures(backend)[-1] == (3, ("psnr",))
    player.tick()
    assert len(measures(backend)) == before + 1, "one at a time"


def test_no_worst_frame_yet(player, pair) -> None:
    player.go_to_worst(1)
    assert "no frame is measured yet" in player.message


def test_sizes_that_differ_are_not_measured(player, open_in, backend) -> None:
    a, _ = open_in(0), open_in(1, "nerv")
    a.facts = replace(a.facts, spec=replace(a.facts.spec, width=16))
    backend.calls.clear()
    backend.work(5)
    assert measures(backend) == []


def test_swap(player, pair, backend) -> None:
    a, b = pair
    player.nudge(2)
    player.swap()
    assert player.slots[:2] == (b, a)
    assert (b.name, a.name, b.offset, a.offset) == ("A", "B", 0, -2)
    assert player.neural is b


def test_close_all(player, pair, backend) -> None:
    player.close_all()
    assert not player.has_clip
    assert shades(player) == [None] * 4
    assert player.track is None
    assert player.neural is None
    player.tick()


def test_recent(player, open_in) -> None:
    open_in(0)
    open_in(1, "nerv")
    assert player.settings.recent == ["B.nerv", "A.video"]


def test_what_opening_is_told(player, pair, backend) -> None:
    player.open(player.slots[2], parse_source("x265@b"))
    request = backend.calls[-1][-1]
    assert (str(request.reference), request.target_bytes) == ("A.video", 960)
    assert request.like == Alignment(pair[1].facts.spec, {"name": "clip"})
    player.open(player.slots[3], parse_source("d.nerv"), precision="bf16")
    assert backend.calls[-1][-1].precision == "bf16"


def test_stages(player, pair, backend) -> None:
    player.time_stages()
    assert backend.calls[-1] == ("stages", "B")
    player.staged(pair[1], (("stem", 1.0),))
    assert pair[1].stages == (("stem", 1.0),)
