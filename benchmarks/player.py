"""How smooth the player is: paint cost, frames skipped, seek overhead, gaps of the window's thread, memory, start.

    python benchmarks/player.py [--seconds 60] [--minutes 10] [--output benchmarks/results/player.tsv]

A fake decoder gives frames that were made before, so that the player itself is measured; the last rows play the bundled
sample, whose decoder is the limit. Runs on Qt's offscreen platform with the soft canvas. CPU figures are process time.
"""

import argparse
import itertools
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
_SCRATCH = tempfile.TemporaryDirectory()
os.environ["XDG_CONFIG_HOME"] = _SCRATCH.name

import numpy as np  # noqa: E402 - the environment comes first
from PySide6.QtCore import QEventLoop, Qt, QTimer  # noqa: E402
from PySide6.QtGui import QImage  # noqa: E402
from PySide6.QtWidgets import QApplication  # noqa: E402

from app.core.cache import Key, Picture  # noqa: E402
from app.core.facts import MediaFacts  # noqa: E402
from app.core.player import Player  # noqa: E402
from app.core.samples import find_sample  # noqa: E402
from app.core.settings import Settings  # noqa: E402
from app.core.slot import Alignment, OpenRequest  # noqa: E402
from app.core.sources import parse_source  # noqa: E402
from app.core.stats import percentile  # noqa: E402
from app.core.view import Mode  # noqa: E402
from app.main import settle_when_opened  # noqa: E402
from app.views.canvas.soft import SoftCanvas  # noqa: E402
from app.views.main_window import MainWindow  # noqa: E402
from app.views.theme import apply_theme  # noqa: E402
from app.workers.engine import Engine  # noqa: E402
from app.workers.media import Media, to_picture  # noqa: E402
from app.workers.opening import open_any  # noqa: E402
from nervplay.decode.testing import FakeDecoder  # noqa: E402
from nervplay.video import VideoSpec  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
FULL = VideoSpec(width=1920, height=1080, frame_count=24, rate=Fraction(60))
Row = tuple[str, float, str, str]
"""What, value, unit, bound."""


class ReadyMedia(Media):
    """A source whose pictures were made before; asking for one costs a copy, as any decoder's output does."""

    def __init__(self, spec: VideoSpec, seconds: float = 0.0) -> None:
        super().__init__(MediaFacts(title="fake", kind="video", spec=spec), Alignment(spec))
        decoder = FakeDecoder(spec)
        self._pictures = [to_picture(decoder.frame(index)) for index in range(spec.frame_count)]
        self._seconds = seconds

    def picture(self, key: Key) -> Picture:
        """Return a picture, after the time that a decoder would take."""
        if self._seconds:
            time.sleep(self._seconds)
        return self._pictures[int(key)].copy()

    def close(self) -> None:
        """Nothing to release."""


def cpu() -> float:
    """Return the CPU seconds of this process."""
    return time.process_time()


def spin(seconds: float) -> None:
    """Run the event loop."""
    loop = QEventLoop()
    timer = QTimer()
    timer.setTimerType(Qt.TimerType.PreciseTimer)  # the default may be wrong by a twentieth
    timer.timeout.connect(loop.quit)  # the application's own quit would close the windows
    timer.start(round(1000 * seconds))
    loop.exec()


def wait_until(ready: Callable[[], bool], seconds: float = 120) -> None:
    """Run the event loop until `ready`."""
    end = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > end:
            raise SystemExit("the player did not get ready")
        QApplication.processEvents()
        time.sleep(0.001)


def window_over(seconds: float = 0.0, spec: VideoSpec = FULL, *, cache_mb: int = 0) -> MainWindow:
    """Return a window that shows two fake clips."""
    player = Player(Settings(cache_mb=cache_mb, metrics=False, told=["sound"]))
    media = {"a": ReadyMedia(spec), "b": ReadyMedia(spec, seconds)}

    def opener(request: OpenRequest, **_options: object) -> Media:
        return media[request.ref.text]

    window = MainWindow(player, Engine(player, opener), canvas="soft")
    settle_when_opened(player)
    window.resize(2200, 1300)
    window.show()
    for number, name in enumerate("ab"):
        player.open(player.slots[number], parse_source(name))
    wait_until(lambda: player.has_pair and player.pictures[1] is not None)
    return window


def paint_cost(rounds: int = 40) -> list[Row]:
    """CPU milliseconds to paint one new 1080p frame at 1:1, best of five runs of `rounds`."""
    window = window_over()
    player = window.player
    canvas = SoftCanvas(player)
    canvas.resize(FULL.width, FULL.height)
    target = QImage(FULL.width, FULL.height, QImage.Format.Format_RGB32)
    pairs = [
        [to_picture(FakeDecoder(FULL).frame(index)), to_picture(FakeDecoder(FULL).frame(index + 1))] for index in (0, 5)
    ]
    rows: list[Row] = []
    for mode, bound in ((Mode.A, 3), (Mode.WIPE, 5), (Mode.DIFFERENCE, 10), (Mode.SIGNED, 0), (Mode.HEAT, 15)):
        player.view.mode = mode
        best = float("inf")
        for _ in range(5):
            began = cpu()
            for number in range(rounds):
                player.pictures[:2] = pairs[number % 2]
                canvas.render(target)
            best = min(best, 1000 * (cpu() - began) / rounds)
        rows.append((f"paint 1080p {mode.value}", best, "ms CPU", f"<= {bound}" if bound else ""))
    window.close()
    return rows


def gaps_while_playing(seconds: float) -> list[Row]:
    """Frames skipped at 1080p60, and the longest times in which the window's thread did not answer."""
    window = window_over()
    player = window.player
    beats: list[float] = []
    timer = QTimer(window)
    timer.setTimerType(Qt.TimerType.PreciseTimer)
    timer.timeout.connect(lambda: beats.append(time.perf_counter()))
    timer.start(2)
    began, wall = cpu(), time.monotonic()
    window.run("play")
    spin(seconds)
    share = (cpu() - began) / (time.monotonic() - wall)
    gaps = [1000 * (later - earlier) for earlier, later in itertools.pairwise(beats)]
    transport = player.transport
    rows: list[Row] = [
        (f"1080p60 shown in {seconds:g} s", transport.shown, "frames", f"{60 * seconds:g}"),
        (f"1080p60 skipped in {seconds:g} s", transport.skipped, "frames", "0"),
        ("window thread, gap p99", percentile(gaps, 0.99), "ms", "<= 20"),
        ("window thread, longest gap", max(gaps), "ms", ""),
        ("CPU while playing 1080p60", 100 * share, "% of a core", ""),
    ]
    window.close()
    return rows


def seek_overhead(rest: float, count: int = 60, decode: float = 0.02) -> list[float]:
    """Milliseconds from each of some seeks to its picture, beyond the time that decoding it takes.

    Args:
        rest: seconds between seeks; after less than 0.1 the frame that a seek comes upon is being decoded still.
        count: how many seeks.
        decode: seconds that a picture of B takes.
    """
    window = window_over(decode)
    player = window.player
    over: list[float] = []
    random = np.random.default_rng(1)
    for _ in range(count):
        spin(rest)
        far = [frame for frame in range(FULL.frame_count) if all(frame not in it.cache for it in player.open_slots)]
        target = int(random.choice(far))
        began = time.perf_counter()
        player.seek(target)
        wait_until(lambda target=target: player.shown_frame == target)  # type: ignore[misc]
        over.append(1000 * (time.perf_counter() - began - decode))
    window.close()
    return over


def seeks() -> list[Row]:
    """What a seek takes beyond decoding: at rest, and while frames around the last one are being decoded."""
    rested, busy = seek_overhead(0.3), seek_overhead(0.03)
    return [
        ("seek beyond decode, p50", percentile(rested, 0.5), "ms", ""),
        ("seek beyond decode, p95", percentile(rested, 0.95), "ms", "<= 20"),
        ("seek beyond decode of 20 ms with one under way, p95", percentile(busy, 0.95), "ms", "<= 20 + 20"),
    ]


def resident_mb() -> float:
    """Return the memory of this process in 10^6 bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def memory_growth(minutes: float) -> list[Row]:
    """Megabytes by which the process grows while it plays, after half a minute to warm up."""
    window = window_over(spec=VideoSpec(width=640, height=360, frame_count=240, rate=Fraction(60)))
    window.run("play")
    spin(min(30.0, 20 * minutes))
    before = resident_mb()
    spin(60 * minutes)
    grown = resident_mb() - before
    window.close()
    return [(f"memory grown in {minutes:g} min of playing", grown, "MB", "<= 10")]


def start_cost() -> list[Row]:
    """CPU seconds until an empty window is up, in a process of its own, and whether torch was loaded for it."""
    code = (
        "import time,sys\n"
        "from PySide6.QtWidgets import QApplication\n"
        "from app.core.play_request import PlayRequest\n"
        "app = QApplication([])\n"
        "from app.main import make_window\n"
        "window = make_window(PlayRequest(canvas='soft'))\n"
        "window.show(); app.processEvents()\n"
        "print(time.process_time(), int('torch' in sys.modules))\n"
        "window.close()\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    best, torch = float("inf"), 0
    for _ in range(3):
        ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
        seconds, loaded = ran.stdout.split()
        best, torch = min(best, float(seconds)), int(loaded)
    return [("window up", best, "s CPU", "<= 0.5"), ("torch loaded for it", torch, "", "0")]


def sample_rate(seconds: float) -> list[Row]:
    """Frames per second of the bundled sample beside its source, against what its decoder gives alone."""
    sample = find_sample()
    alone = open_any(OpenRequest(parse_source(str(sample.video)), device="cpu"))
    for index in range(5):
        alone.picture(index)
    began = time.perf_counter()
    for index in range(40):
        alone.picture(index)
    decoder = 40 / (time.perf_counter() - began)
    alone.close()
    player = Player(Settings(cache_mb=0, metrics=False, told=["sound"], device="cpu"))
    window = MainWindow(player, Engine(player), canvas="soft")
    settle_when_opened(player)
    window.show()
    for number, path in enumerate((sample.clip, sample.video)):
        player.open(player.slots[number], parse_source(str(path)))
    wait_until(lambda: player.has_pair and player.pictures[1] is not None)
    window.run("play")
    spin(2)
    player.transport.shown = player.transport.skipped = 0
    spin(seconds)
    shown = player.transport.shown / seconds
    window.close()
    wanted = min(decoder, float(player.slots[1].facts.spec.rate) if player.slots[1].facts else decoder)
    return [
        ("sample, decoder alone", decoder, "fps", ""),
        ("sample, shown beside its source", shown, "fps", ""),
        ("sample, shown / possible", shown / wanted, "", ">= 0.95"),
    ]


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60, help="how long each playing test plays")
    parser.add_argument("--minutes", type=float, default=10, help="how long memory is watched")
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks" / "results" / "player.tsv")
    options = parser.parse_args()
    app = QApplication([])
    app.setQuitOnLastWindowClosed(False)
    apply_theme("dark")
    try:
        rows: list[Row] = [*start_cost(), *paint_cost(), *gaps_while_playing(options.seconds), *seeks()]
        rows += [*sample_rate(min(30.0, options.seconds)), *memory_growth(options.minutes)]
    finally:
        app.closeAllWindows()  # ends the threads, too
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False, cwd=ROOT
    )
    load = os.getloadavg()[0]
    lines = [
        f"# commit {commit.stdout.strip()}, {os.cpu_count()} cores {platform.machine()}, load average {load:.1f}",
        f"# python benchmarks/player.py --seconds {options.seconds:g} --minutes {options.minutes:g}",
        "what\tvalue\tunit\tbound",
        *(f"{what}\t{value:.3g}\t{unit}\t{bound}" for what, value, unit, bound in rows),
    ]
    text = "\n".join(lines) + "\n"
    print(text, end="")
    options.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
