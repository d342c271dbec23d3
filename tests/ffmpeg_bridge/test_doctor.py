"""The doctor against the real programs, and against some that are ill."""

import shutil

import pytest

from ffmpeg_bridge import doctor


def ill(path, script):
    path.write_text("#!/bin/sh\n" + script)
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    ("name", "routes"),
    [("ffmpeg", ["pipe", "url", "seek", "movie="]), ("mpv", ["seek"]), ("melt", ["seek"])],
)
def test_what_works(name, routes):
    program = shutil.which(name)
    if program is None:
        pytest.skip(f"{name} is not installed (apt-get install {name})")
    reports = [report for report in doctor.examine(program) if not report.route.startswith("frei0r")]
    assert [(report.route, report.works, report.detail) for report in reports] == [
        (route, True, "") for route in routes
    ]
    assert {report.version[:1].isdigit() for report in reports} == {True}


def test_what_does_not(tmp_path, monkeypatch):
    monkeypatch.setattr(doctor, "_SECONDS", 1.0)
    script = """
case "$*" in
    *-version*) echo "ffmpeg version 0.1 of nobody" ;;
    *"-i - "*) cat > /dev/null; echo "the first line" >&2; echo "the last" >&2; exit 3 ;;
    *-ss*) kill -11 $$ ;;
    *movie=*) exec sleep 30 ;;
    *) head -c 27648 /dev/zero ;;
esac"""
    reports = list(doctor.examine(ill(tmp_path / "ffmpeg-ill", script)))
    assert {report.version for report in reports} == {"0.1"}
    assert not any(report.works for report in reports)
    details = {report.route: report.detail for report in reports}
    assert details["pipe"] == "the first line"
    assert details["url"] == "wrong frames: [0] for [0, 1, 2, 3, 4]"
    assert details["seek"] == "ended by signal 11"
    assert details["movie="] == "no answer within 1 seconds"


def test_programs_are_listed_once():
    found = doctor.known_programs("ffmpeg", "no-such-program")
    assert len(found) == len(set(found))
    assert shutil.which("ffmpeg") in found
    assert [doctor.program_kind(name) for name in ("/opt/ffmpeg-9", "/usr/bin/mpv", "melt-7")] == [
        "ffmpeg",
        "mpv",
        "melt",
    ]
