"""A push without its window: against the loopback Hub, with jobs run when the test says so."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from loopback_hub import LoopbackHub
from loopback_hub.videos import make_nerv

from app.core.publishing import Looks, Outcome, Preview, Publisher, PushForm, Stage, variant_name
from app.core.running import Stop
from models_hub import Hub
from nervplay.errors import NervplayError, UsageError

POSTER = b"RIFF\x10\x00\x00\x00WEBPVP8 "


class Jobs:
    """Work that waits in a list until `run`."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Callable[[], Any], Callable[[Any], None], Callable[[NervplayError], None]]] = []

    def submit(self, job, done, failed) -> None:
        self.waiting.append((job, done, failed))

    def report(self, call: Callable[[], None]) -> None:
        call()

    def run(self) -> None:
        job, done, failed = self.waiting.pop(0)
        try:
            result = job()
        except NervplayError as error:
            failed(error)
        else:
            done(result)


class Maker:
    """Stands in for the child process: makes looks when the test says so."""

    def __init__(self) -> None:
        self.outcome: Outcome | None = None
        self.stopped: list[bool] = []

    def __call__(self, form: PushForm, outcome: Outcome) -> Stop:
        self.outcome = outcome
        return self.stop

    def stop(self, *, wait: bool) -> None:
        self.stopped.append(wait)


@pytest.fixture
def jobs() -> Jobs:
    return Jobs()


@pytest.fixture
def maker() -> Maker:
    return Maker()


@pytest.fixture
def seen() -> list[tuple[Stage, int, int]]:
    return []


@pytest.fixture
def publisher(server: LoopbackHub, jobs: Jobs, maker: Maker, seen, tmp_path: Path) -> Publisher:
    hub = Hub(server.url, "hf_alice_secret", tmp_path / "cache")
    publisher = Publisher(hub, jobs, maker, lambda: seen.append((publisher.stage, publisher.done, publisher.total)))
    return publisher


@pytest.fixture
def form(tmp_path: Path) -> PushForm:
    (tmp_path / "clip.nerv").write_bytes(make_nerv())
    return PushForm(file=tmp_path / "clip.nerv", repository="alice/bunny", license="cc-by-4.0", credit="Jane")


def test_who_is_logged_in(server, publisher: Publisher, jobs: Jobs) -> None:
    publisher.ask_who()
    assert publisher.account is None
    jobs.run()
    assert publisher.account is not None
    assert publisher.account.name == "alice"
    server.fail("GET /api/whoami", status=401)
    publisher.ask_who()
    jobs.run()
    assert publisher.account is None
    assert "does not accept" in publisher.login_problem


def test_a_push(server, publisher: Publisher, jobs: Jobs, maker: Maker, *, seen, form: PushForm) -> None:
    publisher.start(form)
    assert publisher.stage is Stage.PREPARING
    maker.outcome.progressed("measuring", 3, 6)
    assert (publisher.words, publisher.done, publisher.total) == ("measuring: 3 of 6 frames", 3, 6)
    maker.outcome.prepared(Looks(poster=POSTER, psnr=31.5, ms_ssim=float("inf")))
    assert publisher.stage is Stage.SENDING
    jobs.run()
    assert publisher.stage is Stage.IDLE
    assert publisher.words.startswith("published as hf://alice/bunny; its page is http")
    assert not publisher.failed_last
    repository = server.repositories["alice/bunny"]
    files = {path: server.data(file) for path, file in repository.head.files.items()}
    assert files["model.safetensors"] == form.file.read_bytes()
    assert files["preview/poster.webp"] == POSTER
    card = files["README.md"].decode()
    for words in ("license: cc-by-4.0", "Jane", "31.5", "# bunny"):
        assert words in card
    assert "MS-SSIM" not in card, "an infinite figure has no place on a card"
    assert repository.private
    sent = [(done, total) for stage, done, total in seen if stage is Stage.SENDING and total]
    assert len(sent) > 3
    assert sent[-1][0] == sent[-1][1] == form.file.stat().st_size + len(POSTER)


def test_without_pictures_nothing_is_prepared(server, publisher, jobs: Jobs, maker, *, form, tmp_path: Path) -> None:
    low = tmp_path / "low.nerv"
    low.write_bytes(make_nerv(weights=1000))
    plain = replace(form, preview=Preview.NONE, private=False, tag="v1", variants={"low": low}, title="T")
    publisher.start(plain)
    assert maker.outcome is None
    jobs.run()
    repository = server.repositories["alice/bunny"]
    assert not repository.private
    assert repository.tags == {"v1": publisher.published.revision}
    assert "variants/low.safetensors" in repository.head.files


@pytest.mark.parametrize(
    "change",
    [{"repository": "bunny"}, {"repository": "a/../b"}, {"tag": "a b"}, {"preview": Preview.BESIDE},
     {"variants": {"../x": Path("x.nerv")}}],
)  # fmt: skip
def test_what_cannot_be_is_said_before_any_work(publisher, maker, form: PushForm, change: dict) -> None:
    with pytest.raises(UsageError):
        publisher.start(replace(form, **change))
    assert (publisher.stage, maker.outcome) == (Stage.IDLE, None)


def test_errors_of_both_stages(server, publisher, jobs: Jobs, maker: Maker, form: PushForm) -> None:
    publisher.start(form)
    maker.outcome.failed("no preview can be made")
    assert (publisher.stage, publisher.words, publisher.failed_last) == (Stage.IDLE, "no preview can be made", True)
    publisher.start(form)
    server.fail("POST /api/repos/create", status=403)
    maker.outcome.prepared(Looks())
    jobs.run()
    assert publisher.words == "your login may not change this repository; use your own name, or a token that can write"
    assert publisher.failed_last


def test_stop_while_preparing(publisher, jobs: Jobs, maker: Maker, form: PushForm) -> None:
    publisher.start(form)
    publisher.cancel()
    assert (maker.stopped, publisher.stage) == ([False], Stage.IDLE)
    assert publisher.words == "the push was stopped; nothing was published"
    maker.outcome.prepared(Looks())
    maker.outcome.failed("late")
    assert jobs.waiting == []
    assert "stopped" in publisher.words


def test_stop_while_sending(server, publisher, jobs: Jobs, maker: Maker, form: PushForm) -> None:
    publisher.start(form)
    maker.outcome.prepared(Looks())
    publisher.cancel()
    jobs.run()
    assert publisher.words == "the push was stopped; nothing was published"
    assert "alice/bunny" not in server.repositories


def test_close(publisher, maker: Maker, seen, form: PushForm) -> None:
    publisher.start(form)
    seen.clear()
    publisher.close()
    assert maker.stopped == [False, True]
    assert seen == []


def test_names_of_variants() -> None:
    assert variant_name(Path("/x/bunny low (2).nerv"), {}) == "bunny-low--2"
    assert variant_name(Path("a.nerv"), {"a": Path("b"), "a-2": Path("c")}) == "a-3"
    assert variant_name(Path("é.nerv"), {}) == "variant"
    assert variant_name(Path("a..b.nerv"), {}) == "a.b"
