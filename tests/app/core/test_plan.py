"""One plan for all sources: contiguous where decoding is fast, spaced where it is slow; what is late."""

from app.core.plan import ascending_chunks, next_frames


def plan(planned, ahead, *, ready=(), begun=(), step=0.1, limit=4, room=100) -> list[int]:
    return next_frames(
        planned,
        ahead,
        ready=lambda frame: frame in ready,
        begun=lambda frame: frame in begun,
        step=step,
        limit=limit,
        room=room,
    )


def test_fast_sources_decode_every_frame() -> None:
    assert plan([], range(5, 30)) == [6, 7, 8, 9]
    assert plan([6, 7, 8, 9], range(6, 30), ready=(6, 7)) == [8, 9, 10, 11]
    assert plan([], range(5, 30), ready=range(5, 12)) == [12, 13, 14, 15]
    assert plan([], [5, 6, 7], ready=range(10)) == []


def test_what_is_ready_takes_room() -> None:
    assert plan([], range(5, 30), ready=(5, 6, 7), room=4) == [8, 9], "5 is due, 6 and 7 lie ahead"
    assert plan([8], range(5, 30), ready=(6, 7), room=4) == [8, 9]
    assert plan([8, 9, 10], range(5, 30), ready=(6, 7), room=4) == [8, 9, 10], "what is planned stays"


def test_slow_sources_leave_frames_out_in_advance() -> None:
    assert plan([], range(100, 140), step=3.2, limit=3) == [104, 107, 110]
    assert plan([104, 107], range(103, 140), begun=(104,), step=3.2, limit=3) == [104, 107, 113]


def test_where_no_frame_can_be_in_time() -> None:
    assert plan([], [5, 6, 7], step=9.0) == [7]
    assert plan([7], [6, 7, 5], begun=(7,), step=9.0) == [7]
    assert plan([], [6, 7, 5], ready=(7,), step=9.0) == [5]
    assert plan([], [5, 6, 7], ready=(6, 7), step=9.0, room=2) == [], "what is there takes the room"


def test_late_frames() -> None:
    assert plan([104, 107], range(106, 140), begun=(104,), step=1.0, limit=2) == [104, 107], "what is begun is finished"
    assert plan([104, 107], range(106, 140), step=1.0, limit=2) == [107, 108], "what is not is dropped"


def test_round_a_loop() -> None:
    assert plan([9], [8, 9, 0, 1, 2], limit=3) == [9, 0, 1]
    assert plan([8], [9, 0, 1, 8], limit=2) == [8], "it comes again"


def test_chunks_stay_while_playing_goes_on() -> None:
    first = ascending_chunks([10, 9, 8, 7, 6, 5, 4], 4)
    assert first == [8, 9, 10, 4, 5, 6, 7]
    assert ascending_chunks([9, 8, 7, 6, 5, 4, 3], 4) == [8, 9, 4, 5, 6, 7, 3]
