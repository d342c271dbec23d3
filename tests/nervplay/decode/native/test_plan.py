"""The kernels against PyTorch, on shapes that hypothesis chooses: the C sources, the packing and the plan at once."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nervplay.decode.graph import Value
from nervplay.decode.lowering import Conv
from nervplay.decode.native.library import Isa, Pool, load, run_chain
from nervplay.decode.native.plan import integer_candidates, kind_of, peak_shape, plan_chain

ACTIVATIONS = {
    "none": lambda x: x,
    "relu": F.relu,
    "leaky": lambda x: F.leaky_relu(x, 0.1),
    "relu6": F.relu6,
    "gelu": F.gelu,
    "silu": F.silu,
    "softplus": F.softplus,
    "hardswish": F.hardswish,
    "sin": torch.sin,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "half_tanh": lambda x: torch.tanh(x) * 0.5 + 0.5,
}


def convolution(
    seed: int,
    size: tuple[int, int],
    channels: int,
    outputs: int,
    kernel: tuple[int, int],
    *,
    shuffle: int = 1,
    activation: str = "none",
    depthwise: bool = False,
    padding: tuple[int, int] | None = None,
) -> Conv:
    rng = np.random.default_rng(seed)
    outputs = channels if depthwise else outputs * shuffle**2
    shape = (outputs, 1 if depthwise else channels, *kernel)
    weight = rng.standard_normal(shape).astype(np.float32) / np.float32(np.sqrt(np.prod(shape[1:])))
    top, left = padding or (kernel[0] // 2, kernel[1] // 2)
    out_size = (size[0] + 2 * top - kernel[0] + 1, size[1] + 2 * left - kernel[1] + 1)
    return Conv(
        weight=weight,
        bias=rng.standard_normal(outputs).astype(np.float32),
        padding=(top, left),
        source=Value(2 * seed, (), torch.float32),
        target=Value(2 * seed + 1, (), torch.float32),
        size=size,
        out_size=out_size,
        shuffle=shuffle,
        activation=activation,
        slope=0.1,
        depthwise=depthwise,
    )


def expected(conv: Conv, x: np.ndarray) -> np.ndarray:
    """Return float (H, W, C) by PyTorch in double precision."""
    maps = torch.from_numpy(x.astype(np.float64)).permute(2, 0, 1)[None]
    weight, bias = (torch.from_numpy(a.astype(np.float64)) for a in (conv.weight, conv.bias))
    groups = maps.shape[1] if conv.depthwise else 1
    out = F.conv2d(maps, weight, bias, padding=conv.padding, groups=groups)
    return ACTIVATIONS[conv.activation](F.pixel_shuffle(out, conv.shuffle))[0].permute(1, 2, 0).numpy()


def run(convs: list[Conv], x: np.ndarray, isa: Isa, threads: int = 1, **options: object) -> np.ndarray:
    """Return what the kernels give for a chain, float32 (H, W, C)."""
    plan = plan_chain(convs, isa, threads, **options)  # type: ignore[arg-type]
    last = convs[-1]
    height, width = (size * last.shuffle for size in last.out_size)
    channels = len(last.bias) // last.shuffle**2
    planes = plan.kinds[-1].startswith("head")
    out = np.full((channels, height, width) if planes else (height, width, channels), np.nan, np.float32)
    pool = Pool(threads)
    if plan.kinds == ["depthwise"]:
        load().nk_depthwise(pool.handle, isa.number, plan.ops, x.ctypes.data, out.ctypes.data)
    else:
        run_chain(pool, isa, plan.ops, plan.turns, source=x.ctypes.data, target=out.ctypes.data)
    pool.close()
    return out.transpose(1, 2, 0) if planes else out


def picture(size: tuple[int, int], channels: int) -> np.ndarray:
    return np.random.default_rng(5).standard_normal((*size, channels)).astype(np.float32)


SIZES = st.tuples(st.integers(1, 40), st.integers(1, 70))
TAPS = st.sampled_from([1, 2, 3, 4, 5, 7, 9])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    size=SIZES,
    channels=st.integers(1, 40),
    outputs=st.integers(1, 20),
    kernel=st.tuples(TAPS, TAPS),
    shuffle=st.sampled_from([1, 1, 2, 3, 5]),
    activation=st.sampled_from(sorted(ACTIVATIONS)),
)
def test_any_convolution(isa, size, channels, outputs, kernel, shuffle, activation) -> None:  # noqa: PLR0917 - hypothesis calls by name
    size = (max(size[0], kernel[0]), max(size[1], kernel[1]))
    conv = convolution(1, size, channels, outputs, kernel, shuffle=shuffle, activation=activation)
    x = picture(size, channels)
    np.testing.assert_allclose(run([conv], x, isa), expected(conv, x), atol=1e-4)


@pytest.mark.parametrize("kernel", [(3, 3), (5, 5), (3, 1), (1, 3), (5, 1), (1, 5)])
@pytest.mark.parametrize("channels", [1, 16, 33])
def test_winograd(isa: Isa, kernel: tuple[int, int], channels: int) -> None:
    conv = convolution(2, (47, 61), channels, 9, kernel, shuffle=2, activation="gelu")
    assert kind_of(conv, last=True) == "wino"
    x = picture(conv.size, channels)
    np.testing.assert_allclose(run([conv], x, isa), expected(conv, x), atol=1e-4)


@pytest.mark.parametrize("kernel", [(3, 3), (5, 5), (3, 1), (1, 5)])
@pytest.mark.parametrize("channels", [1, 17, 96])
def test_products_of_16_bits(isa: Isa, kernel: tuple[int, int], channels: int) -> None:
    conv = convolution(3, (47, 61), channels, 9, kernel, shuffle=2, activation="silu")
    x = picture(conv.size, channels)
    x[10:20] *= 10  # one bright part sets the unit for all
    peak = np.zeros(peak_shape(conv, "wino"), np.float32)
    load().nk_peak(isa.number, plan_chain([conv], isa, 1).ops, x.ctypes.data, peak.ctypes.data)
    plan = plan_chain([conv], isa, 1, {conv: peak})
    assert plan.kinds == ["wino16"]
    out, exact = run([conv], x, isa, peaks={conv: peak}), expected(conv, x)
    far = np.r_[0:6, 60:94]  # rows whose tiles see nothing of the bright part
    assert np.abs(out - exact)[far].max() < 0.15
    assert np.abs(out - exact)[far].mean() < 0.006
    assert np.abs(out - exact).max() < 1
    assert np.abs(out - exact).max() > 0, "they would be exact in float32 only"


def test_values_beyond_calibration_saturate(isa: Isa) -> None:
    conv = convolution(4, (30, 30), 24, 8, (3, 3))
    x = picture(conv.size, 24)
    peak = np.zeros((64, 32), np.float32)
    load().nk_peak(isa.number, plan_chain([conv], isa, 1).ops, x.ctypes.data, peak.ctypes.data)
    exact = expected(conv, x)
    np.testing.assert_allclose(run([conv], x, isa, peaks={conv: 0.55 * peak}), exact, atol=0.05)
    far = run([conv], x, isa, peaks={conv: 1e-3 * peak})
    assert np.abs(far - conv.bias).max() < 0.1 * np.abs(exact - conv.bias).max(), "a sum beyond 32 bits would be large"


@pytest.mark.parametrize("channels", [3, 16, 21])
@pytest.mark.parametrize("kernel", [(3, 3), (1, 3), (7, 7)])
def test_depthwise(isa: Isa, channels: int, kernel: tuple[int, int]) -> None:
    conv = convolution(5, (12, 19), channels, channels, kernel, depthwise=True, activation="leaky")
    x = picture(conv.size, channels)
    np.testing.assert_allclose(run([conv], x, isa), expected(conv, x), atol=1e-5)


def chain() -> list[Conv]:
    """Return stages like those of HNeRV and LRConv-NeRV, with a head."""
    return [
        convolution(6, (8, 13), 7, 11, (1, 1), shuffle=5, activation="gelu"),
        convolution(7, (40, 65), 11, 9, (5, 5), shuffle=2, activation="gelu"),
        convolution(8, (80, 130), 9, 4, (3, 1)),
        convolution(9, (80, 130), 4, 8, (1, 3), shuffle=2, activation="silu"),
        convolution(10, (160, 260), 8, 6, (2, 4), activation="sin", padding=(1, 2)),
        convolution(11, (161, 261), 6, 3, (3, 3), activation="half_tanh"),
    ]


def test_a_chain_is_its_convolutions(isa: Isa) -> None:
    convs, x = chain(), picture((8, 13), 7)
    assert [kind_of(c, last=c is convs[-1]) for c in convs] == ["direct", "wino", "wino", "wino", "direct", "head"]
    want = x
    for conv in convs:
        want = expected(conv, want)
    np.testing.assert_allclose(run(convs, x, isa), want, atol=1e-4)


def test_threads_and_strips_change_no_byte(isa: Isa) -> None:
    convs, x = chain(), picture((8, 13), 7)
    one = run(convs, x, isa, 1)
    for threads in (2, 3, 8):
        assert run(convs, x, isa, threads).tobytes() == one.tobytes()


@pytest.mark.parametrize("kernel", [(3, 3), (5, 5), (1, 3), (3, 1)])
@pytest.mark.parametrize("tiles", [17, 18, 19, 21, 23])
def test_every_remainder_of_tiles(isa: Isa, kernel: tuple[int, int], tiles: int) -> None:
    # 7 vectors of 16 lanes are panels of 3, 2 and 2; 28 channels of one place share vectors with the next.
    wide = 9 - kernel[1] if kernel[1] > 1 else 1
    conv = convolution(20, (9 if kernel[0] > 1 else 8, tiles * wide - 1), 17, 28, kernel, shuffle=2)
    assert kind_of(conv, last=True) == "wino"
    x = picture(conv.size, 17)
    out = run([conv], x, isa)
    np.testing.assert_allclose(out, expected(conv, x), atol=1e-4)
    assert run([conv], x, isa, 3).tobytes() == out.tobytes()


@pytest.mark.parametrize("kernel", [(3, 3), (1, 3), (5, 1)])
@pytest.mark.parametrize("outputs", [7, 24, 33, 40, 41, 56])
def test_vectors_that_are_not_full(isa: Isa, kernel: tuple[int, int], outputs: int) -> None:
    for tiles in (16, 18, 20, 22, 25):  # all remainders of 8, and of 2
        wide = 9 - kernel[1] if kernel[1] > 1 else 1
        conv = convolution(23, (9 if kernel[0] > 1 else 5, tiles * wide - 1), 21, outputs, kernel)
        more = -outputs % 16
        full = replace(
            conv,
            weight=np.concatenate([conv.weight, np.zeros((more, *conv.weight.shape[1:]), np.float32)]),
            bias=np.pad(conv.bias, (0, more)),
        )
        x = picture(conv.size, 21)
        peak = np.zeros(peak_shape(conv, "wino"), np.float32)
        load().nk_peak(isa.number, plan_chain([conv], isa, 1).ops, x.ctypes.data, peak.ctypes.data)
        for whole in (False, True):
            one, other = (
                run([each], x, isa, 1, peaks={each: peak} if whole else None)[..., :outputs] for each in (conv, full)
            )
            assert one.tobytes() == other.tobytes(), "lanes that nobody reads change nothing"
            np.testing.assert_allclose(one, expected(conv, x), atol=0.05 if whole else 1e-4)


@pytest.mark.parametrize("name", ["silu", "gelu"])
def test_activations_of_every_size(isa: Isa, name: str) -> None:
    conv = replace(convolution(24, (40, 500), 1, 5, (1, 1), activation=name), bias=np.zeros(5, np.float32))
    conv.weight[:] = 1
    x = np.concatenate([np.linspace(-110, 110, 10_000), np.linspace(-6, 6, 9_990), [0, 1e30, -1e30, 3e-39, 1e-20]])
    x = np.pad(x, (0, 5)).astype(np.float32).reshape(40, 500, 1)
    out, exact = run([conv], x, isa), expected(conv, x)
    np.testing.assert_allclose(out, exact, rtol=6e-7, atol=6e-7)
    x[3, 7] = np.nan
    assert np.isnan(run([conv], x, isa)).sum() == 5


@pytest.mark.parametrize(
    ("kernel", "outputs"),
    [((1, 1), 3), ((3, 3), 1), ((3, 3), 2), ((3, 3), 3), ((3, 3), 4), ((5, 3), 3), ((2, 2), 3), ((1, 5), 4)],
)
def test_a_head_of_any_width(isa: Isa, kernel: tuple[int, int], outputs: int) -> None:
    for width in (5, 6, 11, 16, 34, 47, 333):
        channels = (3, 16, 28, 40)[width % 4]
        conv = convolution(21, (6, width), channels, outputs, kernel, activation="half_tanh")
        assert kind_of(conv, last=True) == "head"
        x = picture(conv.size, channels)
        out = run([conv], x, isa)
        np.testing.assert_allclose(out, expected(conv, x), atol=1e-5)
        assert run([conv], x, isa, 3).tobytes() == out.tobytes()


def test_a_head_keeps_nan_where_it_is(isa: Isa) -> None:
    conv = convolution(22, (5, 50), 20, 3, (3, 3))
    x = picture(conv.size, 20)
    x[2, 30, 19] = np.nan
    lost = np.isnan(run([conv], x, isa))
    assert lost[1:4, 29:32].all()
    assert lost.sum() == 27


def test_nan_is_not_hidden(isa: Isa) -> None:
    conv = convolution(12, (9, 9), 4, 8, (1, 1))
    x = picture(conv.size, 4)
    x[4, 4, 2] = np.nan
    out = run([conv], x, isa)
    assert np.isnan(out[4, 4]).all()
    assert np.isfinite(out[0, 0]).all()


@pytest.mark.parametrize("slope", [0.1, 2.0])
@pytest.mark.parametrize("kernel", [(1, 1), (3, 3)])
def test_no_activation_hides_nan(isa: Isa, kernel: tuple[int, int], slope: float) -> None:
    for name in ACTIVATIONS:
        conv = replace(convolution(26, (9, 40), 3, 9, kernel, activation=name), slope=slope)
        x = picture(conv.size, 3)
        x[4, 7, 1] = np.nan
        assert np.isnan(run([conv], x, isa)[4, 7]).all(), name


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_of_infinity(isa: Isa, name: str) -> None:
    """Where PyTorch has no number the limit is as good; a sine has none."""
    conv = replace(convolution(27, (4, 20), 1, 9, (1, 1), activation=name), bias=np.zeros(9, np.float32))
    conv.weight[:] = 1
    x = picture(conv.size, 1)
    x[1, 3], x[2, 5] = np.inf, -np.inf
    out, exact = run([conv], x, isa), expected(conv, x)
    known = np.isfinite(x[..., 0]) | (name == "sin") | ~np.isnan(exact[..., 0])
    assert known[1, 3], "of plus infinity all are known"
    np.testing.assert_allclose(out[known], exact[known], atol=1e-5)


def test_a_sine_never_leaves_its_bounds(isa: Isa) -> None:
    conv = replace(convolution(28, (40, 50), 1, 1, (1, 1), activation="sin"), bias=np.zeros(1, np.float32))
    conv.weight[:] = 1
    x = np.geomspace(1e-3, 3e38, 2000).astype(np.float32).reshape(40, 50, 1)
    out, exact = run([conv], x, isa), expected(conv, x)
    assert np.abs(out).max() <= 1
    near = x < 3000
    np.testing.assert_allclose(out[near], exact[near], atol=1e-6)


@pytest.mark.parametrize("kernel", [(3, 3), (5, 5), (1, 3), (3, 1)])
@pytest.mark.parametrize("channels", [16, 48, 64, 96])
def test_a_head_inside_the_last_stage(isa: Isa, kernel: tuple[int, int], channels: int) -> None:
    stage = convolution(13, (21, 43), 5, channels, kernel, shuffle=2, activation="silu")
    head = convolution(14, (42, 86), channels, 3, (1, 1), activation="half_tanh")
    plan = plan_chain([stage, head], isa, 1)
    assert plan.count == 1
    x = picture(stage.size, 5)
    one = run([stage, head], x, isa)
    np.testing.assert_allclose(one, expected(head, expected(stage, x)), atol=1e-4)
    assert run([stage, head], x, isa, 3).tobytes() == one.tobytes()


def line(size: tuple[int, int], channels: int, outputs: int = 48, shuffle: int = 2, left: int = 1) -> list[Conv]:
    """Return a stage as the second half of LRConv's pair, with a head behind it."""
    stage = convolution(40, size, channels, outputs, (1, 3), shuffle=shuffle, activation="silu", padding=(0, left))
    size = (stage.out_size[0] * shuffle, stage.out_size[1] * shuffle)
    return [stage, convolution(41, size, outputs, 3, (1, 1), activation="half_tanh")]


@pytest.mark.parametrize(
    ("size", "shuffle", "left"), [((21, 43), 2, 1), ((16, 6), 1, 1), ((9, 97), 3, 2), ((17, 62), 2, 0), ((40, 5), 2, 1)]
)
@pytest.mark.parametrize("channels", [1, 17, 24, 48])
@pytest.mark.parametrize("adds_apart", [False, True])
def test_tiles_as_lanes(
    isa: Isa, size: tuple[int, int], *, shuffle: int, left: int, channels: int, adds_apart: bool
) -> None:
    isa = isa._replace(adds_apart=adds_apart)
    convs, x = line(size, channels, shuffle=shuffle, left=left), picture(size, channels)
    peak = np.zeros(peak_shape(convs[0], "wino"), np.float32)
    load().nk_peak(isa.number, plan_chain(convs[:1], isa, 1).ops, x.ctypes.data, peak.ctypes.data)
    for peaks in ({}, {convs[0]: peak}):
        whole, pairs = "16" * len(peaks), "_pairs" * (adds_apart and (not peaks or channels >= 16))
        kind = "line" + pairs + whole if isa.lanes == 16 else "wino" + whole
        assert plan_chain(convs, isa, 1, peaks).kinds == [kind, "head"]
        out = run(convs, x, isa, peaks=peaks)
        # The stage by itself has channels as lanes. Integers are the same, but for a few that were near one half.
        stage = run(convs[:1], x, isa, peaks=peaks)
        apart = np.abs(out - expected(convs[1], stage))
        assert apart.max() < (5e-4 if peaks else 5e-6)
        assert apart.mean() < 1e-6
        np.testing.assert_allclose(stage, expected(convs[0], x), atol=0.05 if peaks else 1e-4)
        for threads in (2, 3):
            assert run(convs, x, isa, threads, peaks=peaks).tobytes() == out.tobytes()


@pytest.mark.parametrize("channels", [23, 24, 25])
@pytest.mark.parametrize("size", [0.01, 1.0, 100.0])
def test_products_in_pairs_of_values_and_weights_of_unlike_size(isa: Isa, channels: int, size: float) -> None:
    (stage, head), x = line((21, 43), channels), picture((21, 43), channels)
    rng = np.random.default_rng(9)
    # What all values are larger by, all weights are smaller by, and the same of each channel by itself; outputs and
    # parts of the picture differ, too.
    each = np.exp(rng.standard_normal(channels)).astype(np.float32) * np.float32(size)
    outputs = np.exp(rng.standard_normal(stage.weight.shape[0])).astype(np.float32) / 3
    weight = stage.weight / each[:, None, None] * outputs[:, None, None, None]
    convs = [replace(stage, weight=weight), replace(head, activation="none")]
    x *= each
    x[:, :20] *= np.float32(0.01)
    wanted = expected(convs[1], expected(convs[0], x))
    for adds_apart in (False, True):
        chosen = isa._replace(adds_apart=adds_apart)
        out = run(convs, x, chosen)
        assert np.abs(out - wanted).max() < (2e-5 if adds_apart else 1e-5)
        # A tile knows nothing of others: a picture of the dark part alone is the same there.
        alone, few = line((21, 18), channels), np.ascontiguousarray(x[:, :18])
        alone = [
            replace(conv, weight=known.weight, activation=known.activation)
            for conv, known in zip(alone, convs, strict=True)
        ]
        np.testing.assert_array_equal(run(alone, few, chosen)[:, :24], out[:, :24])
        assert run(convs, x, chosen, 3).tobytes() == out.tobytes()


def test_pairs_are_chosen_where_additions_are_free(isa: Isa) -> None:
    assert isa.lanes == 16 or not isa.adds_apart
    (stage, head), apart = line((21, 43), 24), isa._replace(adds_apart=True)
    known, other = ("line_pairs", "line") if isa.lanes == 16 else ("wino", "wino")
    assert plan_chain([stage, head], apart, 1).kinds[0] == known
    assert plan_chain([stage, head], isa._replace(adds_apart=False), 1).kinds[0] == other
    assert plan_chain([replace(stage, activation="gelu"), head], apart, 1).kinds[0] == other


def test_tiles_as_lanes_saturate(isa: Isa) -> None:
    convs, x = line((21, 43), 24), picture((21, 43), 24)
    peak = np.zeros(peak_shape(convs[0], "wino"), np.float32)
    load().nk_peak(isa.number, plan_chain(convs[:1], isa, 1).ops, x.ctypes.data, peak.ctypes.data)
    few = {convs[0]: 0.1 * peak}
    np.testing.assert_allclose(
        run(convs, x, isa, peaks=few), expected(convs[1], run(convs[:1], x, isa, peaks=few)), atol=5e-4
    )


@pytest.mark.parametrize("adds_apart", [False, True])
def test_nan_stays_in_its_row(isa: Isa, adds_apart: bool) -> None:
    isa = isa._replace(adds_apart=adds_apart)
    # Tiles of several rows are computed together, and behind the end of a row the next one is read by nobody.
    (stage, head), x = line((18, 20), 24), picture((18, 20), 24)
    convs = [stage, replace(head, activation="none")]
    x[5] = np.nan
    lost = np.isnan(run(convs, x, isa)).all(axis=(1, 2))
    np.testing.assert_array_equal(np.flatnonzero(lost), [10, 11])
    assert np.isnan(run(convs, x, isa)).sum() == 2 * 40 * 3


def test_which_stages_have_tiles_as_lanes(isa: Isa) -> None:
    assert plan_chain(line((21, 43), 49), isa, 1).kinds == ["wino", "head"], "more than the cache holds"
    assert plan_chain(line((21, 43), 24, outputs=16), isa, 1).kinds == ["wino", "head"], "no whole trios"
    assert plan_chain(line((3, 10), 24), isa, 1).kinds == ["direct", "head"], "too few tiles"
    alone = line((21, 43), 24)[:1]
    assert plan_chain(alone, isa, 1).kinds == ["wino"], "no head"


@pytest.mark.parametrize("threads", [1, 2])
def test_lanes_of_a_strip_are_full_and_threads_equal(isa: Isa, threads: int) -> None:
    plan = plan_chain(line((360, 640), 24), isa, threads)
    if plan.kinds[0].startswith("line"):  # the rest of a strip is computed as if it were 16 tiles for each thread
        tiles, at_once = plan.ops[0].strip * -(-640 // 6), 16 * threads
        assert tiles / (-(-tiles // at_once) * at_once) > 0.98


def test_only_a_head_of_three_channels_is_inside(isa: Isa) -> None:
    stage = convolution(15, (21, 43), 5, 16, (3, 3), shuffle=2, activation="gelu")
    head = convolution(16, (42, 86), 16, 4, (1, 1), activation="half_tanh")
    assert plan_chain([stage, head], isa, 1).count == 2
    x = picture(stage.size, 5)
    np.testing.assert_allclose(run([stage, head], x, isa), expected(head, expected(stage, x)), atol=1e-4)


def whole_head(
    seed: int, size: tuple[int, int], channels: int, kernel: tuple[int, int]
) -> tuple[list[Conv], np.ndarray]:
    """Return a stage with a head of 3x3 behind it, and an input."""
    stage = convolution(seed, size, 5, channels, kernel, shuffle=2, activation="gelu")
    head = convolution(seed + 1, (2 * size[0], 2 * size[1]), channels, 3, (3, 3), activation="half_tanh")
    return [stage, head], picture(size, 5)


def peaks_of(convs: list[Conv], x: np.ndarray, isa: Isa) -> dict[Conv, np.ndarray]:
    """Return what calibration would measure of a stage and its head on one picture."""
    stage, head = convs
    peak = np.zeros(peak_shape(stage, "wino"), np.float32)
    load().nk_peak(isa.number, plan_chain([stage], isa, 1).ops, x.ctypes.data, peak.ctypes.data)
    return {stage: peak, head: np.abs(expected(stage, x)).max(axis=(0, 1)).astype(np.float32)}


@pytest.mark.parametrize("kernel", [(3, 3), (5, 5)])
@pytest.mark.parametrize("channels", [1, 2, 14, 15, 28, 32, 33, 40])
def test_a_head_of_16_bits(isa: Isa, kernel: tuple[int, int], channels: int) -> None:
    convs, x = whole_head(30, (23, 45), channels, kernel)
    assert list(integer_candidates(convs).values()) == ["wino", "head"]
    peaks = peaks_of(convs, x, isa)
    assert plan_chain(convs, isa, 1, peaks).kinds == ["wino16", "head16"]
    out, exact = run(convs, x, isa, peaks=peaks), expected(convs[1], expected(convs[0], x))
    assert 0 < np.abs(out - exact).max() < 4e-3
    assert run(convs, x, isa, 3, peaks=peaks).tobytes() == out.tobytes()


def test_a_head_of_16_bits_saturates(isa: Isa) -> None:
    convs, x = whole_head(32, (23, 45), 28, (3, 3))
    peaks = peaks_of(convs, x, isa)
    exact = expected(convs[1], expected(convs[0], x))
    twice = {convs[0]: peaks[convs[0]], convs[1]: 0.55 * peaks[convs[1]]}
    np.testing.assert_allclose(run(convs, x, isa, peaks=twice), exact, atol=4e-3)
    far = run(convs, x, isa, peaks={convs[0]: peaks[convs[0]], convs[1]: 1e-3 * peaks[convs[1]]})
    bias = ACTIVATIONS["half_tanh"](torch.from_numpy(convs[1].bias)).numpy()
    assert np.abs(far - bias).max() < 0.05, "a sum beyond 32 bits would be large"


def test_a_head_of_16_bits_needs_integers_before_it(isa: Isa) -> None:
    convs, x = whole_head(34, (23, 45), 28, (3, 3))
    peaks = peaks_of(convs, x, isa)
    assert plan_chain(convs, isa, 1, {convs[1]: peaks[convs[1]]}).kinds == ["wino", "head"]
    assert plan_chain(convs[1:], isa, 1, peaks).kinds == ["head"]
    line = whole_head(38, (23, 45), 16, (1, 3))[0]
    assert list(integer_candidates(line).values()) == ["wino"]
