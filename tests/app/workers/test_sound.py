"""Sound is the clock where it plays; without a device the player is silent and says so once."""

from fractions import Fraction
from pathlib import Path

import numpy as np

from app.core.clips import source_record
from app.core.facts import MediaFacts
from app.core.slot import Alignment
from app.core.sound import RATE
from app.core.sources import parse_source
from app.workers.opening import open_any
from app.workers.sound import SoundMaster
from app.workers.sound_file import decode_sound
from ffmpeg_bridge.audio import extract_audio
from nervplay.video import FrameTransform, VideoSpec


class FakeDevice:
    latency = 0.0

    def __init__(self, fill) -> None:
        self.fill, self.open = fill, False

    def start(self) -> None:
        self.open = True

    def close(self) -> None:
        self.open = False

    def play(self, seconds: float) -> np.ndarray:
        out = np.zeros((round(seconds * RATE), 2), np.int16)
        self.fill(out)
        return out


def test_decoded_samples(small_clip: Path) -> None:
    samples = decode_sound(extract_audio(small_clip))
    assert samples.shape[1] == 2
    assert abs(len(samples) / RATE - 0.4) < 0.05
    assert np.abs(samples).max() > 3000


def test_the_clock_follows(qtbot, make_engine, small_clip: Path) -> None:
    player = make_engine(open_any, device="cpu")
    devices: list[FakeDevice] = []
    engine = player.backend
    engine.sound.shut_down()
    engine.sound = SoundMaster(player, engine.post, lambda fill: devices.append(FakeDevice(fill)) or devices[-1])
    player.open(player.slots[0], parse_source(str(small_clip)))
    qtbot.waitUntil(lambda: bool(devices) and player.has_clip, timeout=10_000)
    assert devices[0].play(0.1).max() == 0
    player.transport.play()
    player.events.emit("transport")
    assert np.abs(devices[0].play(0.2)).max() > 1000
    engine.sound.tick()
    assert player.transport.due() == 5
    player.transport.set_speed(Fraction(2))
    player.events.emit("transport")
    assert devices[0].play(0.1).max() == 0, "other speeds are silent"
    player.close_all()
    qtbot.waitUntil(lambda: not devices[0].open)


def test_silent_without_a_device(qtbot, make_engine, small_clip: Path) -> None:
    player = make_engine(open_any, device="cpu")
    engine = player.backend
    engine.sound.shut_down()
    said = []
    player.events.on("message", lambda: said.append(player.message))

    def refuse(_fill):
        raise OSError("no device")

    engine.sound = SoundMaster(player, engine.post, refuse)
    player.open(player.slots[0], parse_source(str(small_clip)))
    qtbot.waitUntil(lambda: any("no sound: no device" in words for words in said), timeout=10_000)
    player.close_all()
    player.open(player.slots[0], parse_source(str(small_clip)))
    qtbot.waitUntil(lambda: player.has_clip)
    assert sum("no sound" in words for words in said) == 1


def test_sound_beside_a_neural_video_is_cut_like_it(qtbot, make_engine, small_clip: Path) -> None:
    player = make_engine(open_any, device="cpu")
    engine = player.backend
    engine.sound.shut_down()
    tracks = []
    engine.sound = SoundMaster(player, engine.post, lambda fill: tracks.append(fill.__self__) or FakeDevice(fill))
    player.open(player.slots[0], parse_source(str(small_clip)))
    qtbot.waitUntil(lambda: bool(tracks), timeout=10_000)
    b, spec = player.slots[1], VideoSpec(width=64, height=48, frame_count=5, rate=Fraction(25))
    b.ref = parse_source("cut.nerv")
    facts = MediaFacts(title="cut", kind="nerv", spec=spec, architecture="hnerv")
    record = source_record(small_clip, FrameTransform(frames=(5, 10)))
    player.opened(b, b.ref, facts, Alignment(spec, record))
    qtbot.waitUntil(lambda: len(tracks) == 2, timeout=10_000)
    whole, part = (len(track.samples) / RATE for track in tracks)
    assert (round(whole, 1), round(part, 1)) == (0.4, 0.2)
