"""`nervplay ffmpeg doctor`: what works here, as a table."""

from dataclasses import asdict

from app.cli.output import emit_json, emit_table, note
from ffmpeg_bridge.doctor import RouteReport, examine, known_programs
from nervplay.errors import CapabilityError

__all__ = ["show_routes"]


def show_routes(program: str, *, as_json: bool) -> None:
    """Try all routes into all programs found here, and print what works.

    Args:
        program: one more to try, by name or path.
        as_json: print JSON instead of a table.

    Raises:
        CapabilityError: there is no program to try, or no route into any of them works.
    """
    programs = known_programs(program)
    if not programs:
        raise CapabilityError("no ffmpeg, mpv or melt here; install one (Debian: apt-get install ffmpeg)")
    reports: list[RouteReport] = []
    for found in programs:
        note(f"trying {found} ...")
        reports.extend(examine(found))
    if as_json:
        emit_json([asdict(report) for report in reports])
    else:
        rows = [
            (report.program, report.version, report.route, "works" if report.works else report.detail)
            for report in reports
        ]
        emit_table(("program", "version", "route", "result"), rows, left=("version", "route", "result"))
    if not any(report.works for report in reports):
        raise CapabilityError("no route works here; install an ffmpeg (Debian: apt-get install ffmpeg)")
