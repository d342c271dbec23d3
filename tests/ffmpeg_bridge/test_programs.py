"""Running other programs in our place: exit codes, signals, streams, and no proxy on the way to this machine."""

import os
import signal
import subprocess
import sys
import time

import pytest

from ffmpeg_bridge.programs import find_program, loopback_environment, run_program
from nervplay.errors import CapabilityError

OURS = """
import sys
from ffmpeg_bridge.programs import run_program
sys.exit(run_program(sys.argv[1:]))
"""


def ours(*command, **options):
    return subprocess.Popen([sys.executable, "-c", OURS, *command], start_new_session=True, **options)


def test_exit_codes_pass_through():
    assert run_program(["sh", "-c", "exit 37"]) == 37
    assert run_program(["sh", "-c", "kill -9 $$"]) == 128 + 9


def test_standard_streams_pass_through():
    with ours("sh", "-c", "cat; echo words >&2", stdin=-1, stdout=-1, stderr=-1) as process:
        assert process.communicate(b"bytes\0\xff") == (b"bytes\0\xff", b"words\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_go_to_the_program_which_decides(number):
    script = f"trap 'echo got it; exit 7' {number.value}; echo ready; while :; do sleep 0.05; done"
    with ours("sh", "-c", script, stdout=-1) as process:
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(number)
        assert process.stdout.read() == b"got it\n"
    assert process.returncode == 7


def test_a_program_that_ignores_a_signal_goes_on():
    script = "trap '' 15; echo ready; sleep 0.5; echo done"
    with ours("sh", "-c", script, stdout=-1) as process:
        process.stdout.readline()
        process.terminate()
        assert process.stdout.read() == b"done\n"
    assert process.returncode == 0


def test_handlers_are_put_back():
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    run_program(["true"])
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_keys_at_a_terminal_reach_the_program_once():
    """Ctrl-C at a terminal goes to the whole group; it must not arrive a second time from us."""
    script = "trap 'echo key' 2; echo ready; i=0; while [ $i -lt 20 ]; do sleep 0.05; i=$((i+1)); done"
    ours, theirs = os.openpty()
    command = [sys.executable, "-c", OURS, "sh", "-c", script]
    # a session of its own with the terminal as the one that sends signals
    process = subprocess.Popen(["setsid", "-c", "-w", *command], stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    seen = b""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            seen += os.read(ours, 1000)
        except OSError:  # the other end is closed
            break
        if b"ready" in seen and b"^C" not in seen and b"key" not in seen:
            os.write(ours, b"\x03")
            time.sleep(0.2)
    os.close(ours)
    assert process.wait() == 0
    assert seen.count(b"key") == 1


def test_no_proxy_for_this_machine(monkeypatch):
    monkeypatch.setenv("no_proxy", "example.org")
    assert loopback_environment()["no_proxy"] == "example.org,127.0.0.1"
    monkeypatch.delenv("no_proxy")
    assert loopback_environment()["no_proxy"] == "127.0.0.1"


def test_programs_that_are_not_there(tmp_path):
    with pytest.raises(CapabilityError, match="no program 'no-such-program' here"):
        find_program("no-such-program")
    (tmp_path / "text").write_bytes(b"\x7fELF and nothing more")
    (tmp_path / "text").chmod(0o755)
    with pytest.raises(CapabilityError, match="cannot be started"):
        run_program([str(tmp_path / "text")])
