"""Threads behind a player: open, show, play in step, seek, switch, swap, close while decoding; no thread is left."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from app.core.player import Player
from app.core.slot import Slot
from app.core.sources import parse_source
from app.workers.opening import open_any
from nervplay.decode import native_decoder
from nervplay.decode.native.library import load
from nervplay.decode.testing import read_index


def open_pair(player, qtbot, a: str = "20.mp4", b: str = "20.nerv") -> None:
    player.open(player.slots[0], parse_source(a))
    player.open(player.slots[1], parse_source(b))
    qtbot.waitUntil(lambda: player.has_pair and shown(player) == [0, 0], timeout=10_000)


def shown(player) -> list[int]:
    return [read_index(picture[..., :3]) for picture in player.pictures if picture is not None]


def test_open_and_seek(qtbot, make_engine) -> None:
    player = make_engine()
    open_pair(player, qtbot)
    player.seek(13)
    qtbot.waitUntil(lambda: shown(player) == [13, 13])
    assert (player.pictures[0][..., 3] == 255).all()
    assert player.slots[1].stats.latency > 0


def test_everything_is_measured_and_kept_while_it_rests(qtbot, make_engine) -> None:
    player = make_engine()
    open_pair(player, qtbot)
    qtbot.waitUntil(lambda: player.settled, timeout=20_000)
    assert player.track.tracks["psnr"].known == 20
    assert player.track.tracks["ms-ssim"].known == 0, "frames of 96x54 have none"
    assert [len(slot.cache) for slot in player.open_slots] == [20, 20]
    assert player.slots[1].facts.precisions[2].reason


def test_playing_keeps_both_in_step(qtbot, make_engine) -> None:
    player = make_engine(cache_mb=0, metrics=False)
    open_pair(player, qtbot, "200.mp4", "200,60.nerv")
    seen = []
    player.events.on("frame", lambda: seen.append(shown(player)))
    player.transport.play()
    player.events.emit("transport")
    qtbot.waitUntil(lambda: len(seen) >= 8, timeout=20_000)
    assert all(a == b for a, b in seen)
    frames = [a for a, _ in seen]
    assert frames == sorted(frames), "the slow network skips, but never goes back"
    assert player.transport.skipped > 0


def test_the_second_pass_of_a_slow_clip_is_in_real_time(qtbot, make_engine) -> None:
    player = make_engine(metrics=False)
    player.transport.set_every_frame(True)
    open_pair(player, qtbot, "10.mp4", "10,60.nerv")
    player.transport.play()
    player.events.emit("transport")
    qtbot.waitUntil(lambda: len(player.slots[1].cache) == 10, timeout=20_000)
    before = player.slots[1].stats.latency
    decoded = len(player.slots[1].stats._ends)
    shown_before = player.transport.shown
    qtbot.waitUntil(lambda: player.transport.shown >= shown_before + 20, timeout=20_000)
    assert len(player.slots[1].stats._ends) == decoded, "nothing is decoded twice"
    assert before > 0.05


def test_precision_keeps_the_picture(qtbot, make_engine) -> None:
    player = make_engine()
    open_pair(player, qtbot, "20.mp4", "20,30.nerv")
    missing = []
    player.events.on("frame", lambda: missing.append(player.pictures[1] is None))
    player.set_precision("bf16")
    qtbot.waitUntil(lambda: player.slots[1].facts.precision == "bf16" and 0 in player.slots[1].cache)
    assert not any(missing)
    player.set_precision("int8")
    qtbot.waitUntil(lambda: "int8" in player.message)
    assert player.slots[1].facts.precision == "bf16"
    player.set_device("cuda")
    qtbot.waitUntil(lambda: "stays on cpu" in player.message)


def test_a_source_that_cannot_be_opened(qtbot, make_engine) -> None:
    player = make_engine()
    open_pair(player, qtbot)
    player.open(player.slots[1], parse_source("bad.nerv"))
    qtbot.waitUntil(lambda: "cannot be opened" in player.message)
    assert player.slots[1].facts is not None, "what was there stays"
    assert not player.slots[1].opening


def test_another_source_takes_the_place(qtbot, make_engine) -> None:
    player = make_engine()
    open_pair(player, qtbot)
    player.seek(15)
    player.open(player.slots[0], parse_source("30.mp4"))
    player.open(player.slots[0], parse_source("12.mp4"))
    qtbot.waitUntil(lambda: player.slots[0].facts.spec.frame_count == 12 and player.settled, timeout=20_000)
    assert player.transport.frame_count == 12
    assert shown(player) == [11, 11]


def test_swap_decodes_nothing(qtbot, make_engine) -> None:
    player = make_engine()
    open_pair(player, qtbot, "20.mp4", "30.nerv")
    qtbot.waitUntil(lambda: player.settled, timeout=20_000)
    player.swap()
    assert player.transport.frame_count == 30
    player.seek(25)
    qtbot.waitUntil(lambda: shown(player) == [25, 19])


def test_close_while_decoding_leaves_no_thread(qtbot, make_engine) -> None:
    player = make_engine()
    open_pair(player, qtbot, "200.mp4", "200,100.nerv")
    player.transport.play()
    player.events.emit("transport")
    qtbot.wait(150)
    began = time.monotonic()
    player.backend.shut_down()
    assert time.monotonic() - began < 30
    player.seek(5)
    player.set_precision("bf16")
    player.time_stages()
    assert not any(thread.name.startswith("nervplay") for thread in threading.enumerate())


def test_close_all_and_open_again(qtbot, make_engine) -> None:
    player = make_engine()
    open_pair(player, qtbot)
    player.close_all()
    assert not player.has_clip
    open_pair(player, qtbot)


def test_pictures_between_frames(qtbot, make_engine) -> None:
    from fractions import Fraction

    player = make_engine()
    open_pair(player, qtbot)
    player.seek(4, Fraction(1, 2))
    whole = player.slots[1].cache
    qtbot.waitUntil(lambda: Fraction(9, 2) in whole)
    qtbot.waitUntil(lambda: player.shown_frame == 4)
    assert np.array_equal(player.pictures[1], whole.get(Fraction(9, 2)))


def test_stages_of_a_clip_are_none(qtbot, make_engine) -> None:
    player = make_engine()
    open_pair(player, qtbot)
    player.time_stages()
    qtbot.wait(50)
    assert player.slots[1].stages == ()


def test_an_unreadable_frame_is_told(qtbot, make_engine, fake_opener, monkeypatch) -> None:
    from nervplay.errors import VideoInputError

    def opener(request, **options):
        media = fake_opener(request, **options)
        usual = media.picture

        def picture(key):
            if key == 7:
                raise VideoInputError("it is damaged")
            return usual(key)

        monkeypatch.setattr(media, "picture", picture)
        return media

    player = make_engine(opener)
    player.open(player.slots[0], parse_source("20.mp4"))
    qtbot.waitUntil(lambda: "frame 7" in player.message, timeout=5000)
    player.seek(9)
    qtbot.waitUntil(lambda: shown(player) == [9])


@pytest.mark.parametrize("count", [1, 2])
def test_short_clips(qtbot, make_engine, count: int) -> None:
    player = make_engine()
    open_pair(player, qtbot, f"{count}.mp4", f"{count}.nerv")
    player.transport.play()
    player.events.emit("transport")
    qtbot.wait(100)
    assert player.transport.playing


def test_precisions_are_tried_one_by_one_and_never_while_playing(qtbot, make_engine, fake_opener) -> None:
    tried, started = [], threading.Event()

    def opener(request, **options):
        media = fake_opener(request, **options)

        class Probing(type(media)):
            unprobed = property(lambda _self: len(tried) < 3)

            def probe(self) -> bool:
                tried.append(player.transport.playing)
                started.wait(20)
                return False

        media.__class__ = Probing
        return media

    player = make_engine(opener, metrics=False)
    player.open(player.slots[0], parse_source("20.nerv"))
    qtbot.waitUntil(lambda: len(tried) == 1 and player.has_clip, timeout=10_000)
    player.transport.play()
    player.events.emit("transport")
    started.set()
    shown_before = player.transport.shown
    qtbot.waitUntil(lambda: player.transport.shown >= shown_before + 30, timeout=20_000)
    assert len(tried) == 1
    player.transport.pause()
    qtbot.waitUntil(lambda: len(tried) == 3, timeout=10_000)
    assert not any(tried)


def test_the_clock_is_looked_at_when_a_frame_is_due_and_not_before(qtbot, make_engine) -> None:
    player = make_engine(metrics=False)
    open_pair(player, qtbot)
    player.transport.play()
    for left, milliseconds in ((0.0102, 11), (0.0003, 1), (0.5, 16), (0.0, 1)):
        player.transport.until_next = lambda left=left: left
        player.backend._arm()
        assert player.backend._timer.interval() == milliseconds


@pytest.fixture
def calibrating(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[tuple[threading.Event, threading.Event]]:
    """An empty cache, and a calibration that says when it has begun, and waits."""
    load()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    begun, go_on, real = threading.Event(), threading.Event(), native_decoder.calibrate

    def waiting(bench, count, need, progress, **rest):
        def tell(done: int, total: int) -> None:
            if done == 1:
                begun.set()
                go_on.wait(30)
            progress(done, total)

        return real(bench, count, need, tell, **rest)

    monkeypatch.setattr(native_decoder, "calibrate", waiting)
    yield begun, go_on
    go_on.set()


def ask_for_int8(player: Player, path: Path, qtbot, begun: threading.Event) -> Slot:
    """Open a neural video and return its slot while its int8 is made ready."""
    slot = player.slots[0]
    player.open(slot, parse_source(str(path)))
    qtbot.waitUntil(lambda: slot.is_open, timeout=20_000)
    player.set_precision("int8")
    qtbot.waitUntil(begun.is_set, timeout=20_000)
    return slot


def test_playing_goes_on_while_int8_is_made_ready(qtbot, make_engine, small_nerv: Path, calibrating) -> None:
    begun, go_on = calibrating
    player = make_engine(opener=open_any, metrics=False)
    slot, told = player.slots[0], []
    player.events.on("preparing", lambda: told.append(slot.preparing))
    player.open(slot, parse_source(str(small_nerv)))
    qtbot.waitUntil(lambda: slot.is_open and 0 in slot.cache, timeout=20_000)
    player.set_precision("int8")
    qtbot.waitUntil(begun.is_set, timeout=20_000)
    slot.cache.clear()
    player.seek(7)
    qtbot.waitUntil(lambda: 7 in slot.cache, timeout=20_000)
    assert slot.facts.precision == "fp32"
    go_on.set()
    qtbot.waitUntil(lambda: slot.facts.precision == "int8", timeout=20_000)
    qtbot.waitUntil(lambda: slot.preparing[0] == "" and told[-1] == ("", 0.0), timeout=20_000)
    parts = [part for name, part in told if name == "int8"]
    assert parts == sorted(parts)
    assert parts[0] < 0.2
    assert parts[-1] == 1


def test_the_newest_choice_counts(qtbot, make_engine, small_nerv: Path, calibrating) -> None:
    begun, go_on = calibrating
    player = make_engine(opener=open_any, metrics=False)
    slot = ask_for_int8(player, small_nerv, qtbot, begun)
    player.set_precision("bf16")
    qtbot.waitUntil(lambda: slot.facts.precision == "bf16", timeout=20_000)
    go_on.set()
    qtbot.waitUntil(lambda: not threads("nervplay-prepare"), timeout=20_000)
    qtbot.wait(100)
    assert slot.facts.precision == "bf16"


def test_closing_ends_a_calibration(qtbot, make_engine, small_nerv: Path, calibrating, tmp_path: Path) -> None:
    begun, go_on = calibrating
    player = make_engine(opener=open_any, metrics=False)
    slot = ask_for_int8(player, small_nerv, qtbot, begun)
    player.close_slot(slot)
    go_on.set()
    qtbot.waitUntil(lambda: not threads("nervplay-prepare"), timeout=20_000)
    assert slot.preparing == ("", 0.0)
    assert not list(tmp_path.rglob("*.int8*"))


def test_a_source_that_opens_in_int8_says_how_far_it_is_and_can_be_given_up(
    qtbot, make_engine, small_nerv: Path, small_clip: Path, calibrating
) -> None:
    begun, go_on = calibrating
    player, messages = make_engine(opener=open_any, metrics=False), []
    player.events.on("message", lambda: messages.append(player.message) if "int8" in player.message else None)
    slot = player.slots[0]
    player.open(slot, parse_source(str(small_nerv)), precision="int8")
    qtbot.waitUntil(begun.is_set, timeout=20_000)
    player.open(slot, parse_source(str(small_clip)))
    go_on.set()
    qtbot.waitUntil(lambda: slot.is_open and not slot.opening, timeout=20_000)
    assert slot.facts.kind == "video"
    assert not messages, "the one that was given up has nothing to say"
    player.open(slot, parse_source(str(small_nerv)), precision="int8")
    qtbot.waitUntil(lambda: slot.facts.precision == "int8", timeout=20_000)
    assert messages[0].startswith("int8 is being prepared: ")


def threads(name: str) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == name]
