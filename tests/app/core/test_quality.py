"""Values are kept by pair, precision and offset; metrics that frames do not have are not asked for again."""

from app.core.quality import Quality


def test_tracks_by_pair_and_precision(player, open_in) -> None:
    a, b = open_in(0), open_in(1, "nerv")
    quality = Quality()
    track = quality.track(a, b, 10)
    assert quality.track(a, b, 10) is track
    quality.store(quality.ticket(a, b), 3, {"psnr": 30.0, "ms-ssim": None})
    assert track.tracks["psnr"].get(3) == 30
    assert quality.wanted(quality.ticket(a, b), playing=False) == ("psnr",)
    assert quality.wanted(quality.ticket(a, b), playing=True) == ("psnr",)
    b.offset = 2
    assert quality.track(a, b, 10) is not track
    assert quality.others(a, b) == []
    b.offset = 0
    b.facts = b.facts.__class__(**{**b.facts.__dict__, "precision": "bf16"})
    assert quality.track(a, b, 10) is not track
    assert [(name, other is track.tracks["psnr"]) for name, other in quality.others(a, b)] == [("fp32", True)]
    quality.store(("unknown",), 0, {"psnr": 1.0})


def test_round_the_worst(player, open_in) -> None:
    quality = Quality()
    track = quality.track(open_in(0, count=30), open_in(1, "nerv", 30), 30).tracks["psnr"]
    assert quality.next_worst(track, 1) is None
    for frame in range(30):
        track.set(frame, 50 - frame if frame % 10 == 0 else 90.0)
    assert [quality.next_worst(track, 0), quality.next_worst(track, 1), quality.next_worst(track, -1)] == [20, 10, 20]
