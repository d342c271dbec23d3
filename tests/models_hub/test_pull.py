"""Pulling and peeking, told by the server's log: what is asked, what is not, what is kept."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from loopback_hub.checks import partial_files
from loopback_hub.videos import make_nerv

from models_hub import Hub, parse_address
from nervplay.errors import BitstreamError, OutputError, RemoteError

REPOSITORY = Path(__file__).resolve().parents[2]


def test_pull_asks_once_for_the_commit_and_then_of_it_only(server, hubs, video, nerv) -> None:
    told: list[tuple[int, int]] = []
    clip = hubs().pull(video, progress=lambda done, total: told.append((done, total)))
    commit = server.repositories["alice/bunny"].head.sha
    assert [seen.method for seen in server.log] == ["GET", "POST", "HEAD", "GET"]
    assert server.log[0].path == "/api/models/alice/bunny"
    assert all(commit in seen.path for seen in server.log[1:3])
    assert server.log[3].port == "cdn"
    assert clip.path.read_bytes() == nerv
    assert (clip.repository, clip.revision, clip.file) == ("alice/bunny", commit, "model.safetensors")
    assert str(clip.address) == f"hf://alice/bunny@{commit}"
    assert clip.header.file_bytes == len(nerv)
    assert not clip.from_cache
    assert told[0] == (0, len(nerv))
    assert told[-1] == (len(nerv), len(nerv))
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert len(told) >= 5
    assert hubs.said == []


def test_a_commit_in_the_cache_needs_no_request(server, hubs, video) -> None:
    first = hubs().pull(video)
    server.forget()
    second = hubs().pull(first.address)
    assert server.log == []
    assert second.from_cache
    assert second.path == first.path


def test_a_branch_in_the_cache_needs_one_request(server, hubs, video) -> None:
    hubs().pull(video)
    server.forget()
    assert hubs().pull(video).from_cache
    assert len(server.log) == 1


def test_a_revision_stays_what_it_was(server, hubs, video, nerv) -> None:
    old = server.repositories["alice/bunny"].head.sha
    server.repositories["alice/bunny"].tags["v1"] = old
    newer = make_nerv(seed=2)
    server.add("alice/bunny", "model.safetensors", newer)
    assert hubs().pull(f"{video}@v1").path.read_bytes() == nerv
    assert hubs().pull(f"{video}@{old}").path.read_bytes() == nerv
    assert hubs().pull(video).path.read_bytes() == newer


def test_a_blob_that_another_commit_brought_is_not_fetched_again(server, hubs, video) -> None:
    hubs().pull(video)
    server.add("alice/bunny", "notes.txt", b"x", large=False)
    server.forget()
    assert not hubs().pull(video).from_cache
    assert server.seen("GET /get/") == []


def test_other_files_of_a_repository(server, hubs, video) -> None:
    low = make_nerv(weights=1000)
    server.add("alice/bunny", "variants/low.safetensors", low)
    assert hubs().pull(f"{video}/variants/low.safetensors").path.read_bytes() == low


def test_offline_makes_no_request(server, hubs, video) -> None:
    with pytest.raises(RemoteError, match="not on this computer, and the Hub may not be asked"):
        hubs().pull(video, offline=True)
    hubs().pull(video)
    server.forget()
    assert hubs().pull(video, offline=True).from_cache
    assert server.log == []


def test_without_a_connection_the_cache_answers(server, hubs, video) -> None:
    hub = hubs()
    hub.pull(video)
    server.__exit__()
    clip = hub.pull(video)
    assert clip.from_cache
    assert hubs.said[-1] == "the Hub cannot be reached; taking what is on this computer"
    with pytest.raises(RemoteError, match="cannot be reached"):
        hub.pull("hf://alice/other")


def test_hf_hub_offline_forbids_requests(server, hubs, video, cache) -> None:
    hubs().pull(video)
    server.forget()
    code = (
        "import sys; from models_hub import Hub; hub = Hub(sys.argv[1], False, sys.argv[2])\n"
        "print(hub.pull('alice/bunny').from_cache)\n"
        "try: hub.search()\nexcept OSError as error: print(error)"
    )
    environment = os.environ | {"HF_HUB_OFFLINE": "1"}
    ran = subprocess.run(
        [sys.executable, "-c", code, server.url, str(cache)],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    assert ran.stdout.splitlines()[0] == "True"
    assert "HF_HUB_OFFLINE forbids" in ran.stdout
    assert server.log == []


def test_a_flipped_byte_is_noticed_and_fetched_again(server, hubs, video, nerv) -> None:
    server.fail("GET /get/", corrupt=True)
    assert hubs().pull(video).path.read_bytes() == nerv
    assert len(server.seen("GET /get/")) == 2
    assert hubs.said == ["model.safetensors arrived damaged; getting it again"]


def test_flipped_twice_is_an_error_and_nothing_is_kept(server, hubs, video, nerv) -> None:
    server.fail("GET /get/", corrupt=True, times=2)
    with pytest.raises(RemoteError, match=r"model\.safetensors of alice/bunny arrived damaged twice"):
        hubs().pull(video)
    assert hubs().pull(video).path.read_bytes() == nerv


def test_rot_on_the_disk_is_repaired_or_named(server, hubs, video, nerv) -> None:
    clip = hubs().pull(video)
    blob = clip.path.resolve()
    blob.chmod(0o644)
    blob.write_bytes(nerv[:-1] + b"?")
    server.forget()
    with pytest.raises(RemoteError, match="damaged on this disk"):
        hubs().pull(clip.address, offline=True)
    assert server.log == []
    again = hubs().pull(clip.address)
    assert not again.from_cache
    assert again.path.read_bytes() == nerv
    assert "was damaged on this disk" in hubs.said[0]


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
def test_a_broken_connection_is_mended(server, hubs, video, nerv, reset: bool) -> None:
    server.fail("GET /get/", cut_after=400_000, reset=reset)
    assert hubs().pull(video).path.read_bytes() == nerv
    first, second = server.seen("GET /get/")
    assert "Range" not in first.headers
    assert len(hubs.said) == 1
    if not reset:  # an orderly end is gone on from, at a whole step
        assert second.headers["Range"] == "bytes=393216-"
        assert second.status == 206


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("after", [100, 140_000])
def test_a_connection_that_breaks_for_ever(server, hubs, video, monkeypatch, after: int) -> None:
    monkeypatch.setattr("models_hub.client.MAX_BREAKS", 2)
    server.fail("GET /get/", cut_after=after, times=-1)
    with pytest.raises(RemoteError, match="cannot be reached"):
        hubs().pull(video)
    assert partial_files(hubs().cache) == []
    assert len(server.seen("GET /get/")) == 4, "two breaks are outlived, and one new beginning"
    assert hubs.said[0] == f"the connection broke; going on from byte {0 if after < 131_072 else 131_072}"


def test_a_truncated_file_is_no_video(server, hubs, nerv) -> None:
    server.add("alice/cut", "model.safetensors", nerv[:-1000])
    with pytest.raises(
        BitstreamError, match=r"^hf://alice/cut is no video that nervplay can play: the file is truncated"
    ):
        hubs().pull("hf://alice/cut")


@pytest.mark.parametrize("data", [b"", b"\x80\x04K\x01.", b"PK\x03\x04" + b"0" * 5000, os.urandom(5000)])
def test_other_bytes_are_no_video(server, hubs, data: bytes) -> None:
    server.add("alice/other", "model.safetensors", data)
    with pytest.raises(BitstreamError, match="is no video that nervplay can play"):
        hubs().pull("hf://alice/other")


def test_a_file_that_is_too_large_is_not_downloaded(server, hubs, video) -> None:
    stored = server.repositories["alice/bunny"].head.files["model.safetensors"]
    stored.size = 1 << 40
    with pytest.raises(BitstreamError, match=r"1099511627776 bytes; a neural video has at most 17179869184"):
        hubs().pull(video)
    assert server.seen("GET /get/") == []


def test_a_hostile_etag_writes_nowhere(server, hubs, video, cache, tmp_path) -> None:
    before = set(tmp_path.rglob("*"))
    server.fail("HEAD ", headers={"X-Linked-ETag": '"../../../pwned"'}, times=-1)
    with pytest.raises(RemoteError, match=r"names a file by .*pwned.*no digest.*check HF_ENDPOINT"):
        hubs().pull(video)
    made = {path for path in tmp_path.rglob("*") if path.is_file()} - before
    assert {path.name for path in made} <= {"main"}, "only the commit of the branch is noted"
    assert server.seen("GET /get/") == []


def test_hostile_commits_write_nowhere(server, hubs, video, cache, tmp_path) -> None:
    server.fail("HEAD ", headers={"X-Repo-Commit": "../../../../pwned"})
    with pytest.raises(RemoteError, match="no digest"):
        hubs().pull(video)
    repository = server.repositories["alice/bunny"]
    commit = repository.head
    commit.sha = "../../../../pwned"
    with pytest.raises(RemoteError, match=r"names a commit|no digest"):
        hubs().pull(video)
    assert not list(tmp_path.rglob("pwned*"))


def test_no_login_reaches_the_store_or_a_log(server, hubs, video, caplog, capfd) -> None:
    caplog.set_level("DEBUG")
    hub = hubs("hf_alice_secret")
    hub.peek(video)
    hub.pull(video)
    assert all(
        "hf_alice_secret" in seen.headers.get("authorization", seen.headers.get("Authorization", ""))
        for seen in server.log
        if seen.port == "hub"
    )
    cdn = [seen for seen in server.log if seen.port == "cdn"]
    assert len(cdn) == 2
    for seen in cdn:
        assert "hf_alice_secret" not in str(seen.headers)
    assert "GET " in caplog.text
    shown = caplog.text + "".join(capfd.readouterr())
    assert "hf_alice_secret" not in shown
    assert "signature=" not in shown


def test_a_killed_download_leaves_a_part_that_is_swept_a_day_later(server, hubs, video, cache, nerv) -> None:
    server.fail("GET /get/", stall_after=300_000)
    code = (
        "import sys; from models_hub import Hub\n"
        "say = lambda done, total: print(done, flush=True)\n"
        "Hub(sys.argv[1], False, sys.argv[2]).pull('alice/bunny', progress=say)"
    )
    command = [sys.executable, "-c", code, server.url, str(cache)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY) as child:
        assert child.stdout is not None
        while int(child.stdout.readline()) < 200_000:
            pass
        child.send_signal(signal.SIGKILL)
    (part,) = partial_files(cache)
    clip = hubs().pull(video)
    assert clip.path.read_bytes() == nerv
    assert part.exists(), "it may be another program's that runs"
    long_ago = time.time() - 25 * 3600
    os.utime(part, (long_ago, long_ago))
    server.add("alice/bunny", "notes.txt", b"x", large=False)
    hubs().pull(video)
    assert partial_files(cache) == []


def test_the_cache_that_cannot_be_written(server, hubs, video, tmp_path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match=r"cache of the Hub cannot be used"):
        hubs(cache=tmp_path / "file" / "hub").pull(video)


def test_the_digest_in_the_cache_is_that_of_the_hub(hubs, video, nerv) -> None:
    assert hubs().pull(video).path.resolve().name == hashlib.sha256(nerv).hexdigest()


def test_addresses_are_checked_before_any_request(server, hubs) -> None:
    for text in ("hf://alice/bunny/../../etc/passwd", "hf://alice", "hf://alice/bunny/x.pth"):
        with pytest.raises(ValueError, match="address"):
            hubs().pull(text)
    assert server.log == []
    assert isinstance(hubs(), Hub)
    assert parse_address("alice/bunny")
