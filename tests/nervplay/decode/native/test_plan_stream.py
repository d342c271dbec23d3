"""The kernels of a stream against PyTorch in double precision."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nervplay.decode.graph import Value
from nervplay.decode.lowering import Conv
from nervplay.decode.native.library import Isa, Pool, run_chain
from nervplay.decode.native.packing_mix import CHUNK
from nervplay.decode.native.plan_stream import StreamPlan, convolutions_of, plan_stream
from nervplay.decode.streams import Enlarge, Mix, Stream

Array = np.ndarray
rng = np.random.default_rng


def value(number: int, *shape: int) -> Value:
    return Value(number, (1, *shape), torch.float32)


def layer(seed: int, shape: tuple[int, ...], size: tuple[int, int], *, depthwise: bool = False) -> Conv:
    weight = rng(seed).standard_normal(shape).astype(np.float32) / np.float32(np.sqrt(np.prod(shape[1:])))
    return Conv(
        weight=weight, bias=np.zeros(shape[0], np.float32), padding=(shape[2] // 2, shape[3] // 2),
        source=value(0), target=value(1), size=size, out_size=size, depthwise=depthwise, rows=not depthwise,
    )  # fmt: skip


def mix(size: tuple[int, int], channels: int, hidden: int, outputs: int, *, residual: bool, at: int = 0) -> Mix:
    return Mix(
        depthwise=layer(at + 1, (channels, 1, 3, 3), size, depthwise=True),
        expand=layer(at + 2, (hidden, channels, 1, 1), size),
        project=layer(at + 3, (outputs, hidden, 1, 1), size),
        epsilon=1e-6,
        residual=residual,
        activation="gelu",
        source=value(at, *size, channels),
        target=value(at + 1, *size, outputs),
    )


def enlarge(size: tuple[int, int], channels: int, factor: int, epsilon: float | None, at: int = 0) -> Enlarge:
    tile = value(100 + at, 1, factor, 1, factor, channels)
    target = value(at + 1, size[0] * factor, size[1] * factor, channels)
    return Enlarge(factor, epsilon, tile, value(at, *size, channels), target)


def tile_of(part: Enlarge) -> Array:
    return rng(part.tile.number).standard_normal((part.factor, part.factor, part.source.shape[3])).astype(np.float32)


def normed(x: torch.Tensor, epsilon: float | None) -> torch.Tensor:
    return x if epsilon is None else F.layer_norm(x, x.shape[-1:], eps=epsilon)


def expected(stream: Stream, picture: Array) -> Array:
    """Return float64 (H, W, C) behind the last part."""
    x = torch.from_numpy(picture).double()
    for part in stream.parts:
        if isinstance(part, Enlarge):
            maps = normed(x, part.epsilon).permute(2, 0, 1)[None]
            maps = F.interpolate(maps, scale_factor=part.factor, mode="bilinear")[0].permute(1, 2, 0)
            x = maps + torch.from_numpy(tile_of(part)).repeat(*part.source.shape[1:3], 1)
        elif isinstance(part, Mix):
            first, expand, project = (torch.from_numpy(conv.weight).double() for conv in convolutions_of(part))
            y = F.conv2d(x.permute(2, 0, 1)[None], first, padding=1, groups=len(first))[0].permute(1, 2, 0)
            y = F.gelu(normed(y, part.epsilon) @ expand[:, :, 0, 0].T) @ project[:, :, 0, 0].T
            x = x + y if part.residual else y
        else:
            weight, bias = torch.from_numpy(part.weight[:, :, 0, 0]).double(), torch.from_numpy(part.bias)
            x = torch.sigmoid(x @ weight.T + bias)
    return x.numpy()


def run(plan: StreamPlan, picture: Array, isa: Isa, threads: int) -> Array:
    """Return what the kernels give, float32 (H, W, C)."""
    shape = plan.stream.target.shape[1:]
    out, tiles = np.full(shape, np.nan, np.float32), []
    for step, part in zip(plan.steps, plan.stream.parts, strict=True):
        if isinstance(part, Enlarge):
            tiles.append(tile_of(part))
            step.tile = tiles[-1].ctypes.data
    pool = Pool(threads)
    run_chain(pool, isa, plan.ops, plan.turns, source=picture.ctypes.data, target=out.ctypes.data)
    pool.close()
    return out.transpose(1, 2, 0) if plan.kinds[-1] == "head" else out


def picture(part: Mix | Enlarge) -> Array:
    return rng(5).standard_normal(part.source.shape[1:]).astype(np.float32)


def peaks(stream: Stream, picture: Array, isa: Isa, threads: int) -> dict[Conv, Array]:
    plan = plan_stream(stream, isa, threads, measure=True)
    run(plan, picture, isa, threads)
    return plan.peaks


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    size=st.tuples(st.integers(1, 9), st.integers(1, 150)),
    channels=st.integers(1, 70),
    hidden=st.integers(1, 70),
    outputs=st.integers(1, 40),
    residual=st.booleans(),
    threads=st.sampled_from([1, 3]),
)
def test_any_step(isa, size, channels, hidden, outputs, residual, threads) -> None:  # noqa: PLR0917 - hypothesis calls by name
    part = mix(size, channels, hidden, channels if residual else outputs, residual=residual)
    stream, x = Stream([part]), picture(part)
    # Of very few channels the norm may divide by next to nothing.
    limit = 1e-4 if channels > 2 else 0.05
    out = run(plan_stream(stream, isa, threads), x, isa, threads)
    np.testing.assert_allclose(out, expected(stream, x), atol=limit)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    size=st.tuples(st.integers(1, 7), st.integers(1, 140)),
    channels=st.integers(3, 70),
    factor=st.integers(1, 5),
    epsilon=st.sampled_from([None, 1e-6]),
)
def test_any_enlargement(isa, size, channels, factor, epsilon) -> None:
    part = enlarge(size, channels, factor, epsilon)
    stream, x = Stream([part]), picture(part)
    np.testing.assert_allclose(run(plan_stream(stream, isa, 1), x, isa, 1), expected(stream, x), atol=2e-5)


def whole_network() -> Stream:
    head = Conv(
        weight=rng(30).standard_normal((3, 19, 1, 1)).astype(np.float32), bias=rng(31).standard_normal(3).astype("f4"),
        padding=(0, 0), source=value(6, 42, 66, 19), target=value(7, 3, 42, 66), size=(42, 66), out_size=(42, 66),
        activation="sigmoid",
    )  # fmt: skip
    return Stream([
        enlarge((7, 11), 40, 3, 1e-6),
        mix((21, 33), 40, 90, 40, residual=True, at=1),
        mix((21, 33), 40, 50, 33, residual=False, at=2),
        enlarge((21, 33), 33, 2, None, at=3),
        mix((42, 66), 33, 70, 33, residual=True, at=4),
        mix((42, 66), 33, 19, 19, residual=False, at=5),
        head,
    ])  # fmt: skip


@pytest.mark.parametrize("integers", [False, True])
def test_a_stream_of_all_parts_gives_the_same_bytes_on_any_threads(isa: Isa, integers: bool) -> None:
    stream = whole_network()
    assert isinstance(stream.parts[0], Enlarge)
    x = picture(stream.parts[0])
    found = peaks(stream, x, isa, 1) if integers else None
    frames = {run(plan_stream(stream, isa, n, found), x, isa, n).tobytes() for n in (1, 2, 3, 7)}
    assert len(frames) == 1
    out = np.frombuffer(frames.pop(), np.float32).reshape(42, 66, 3)
    assert np.abs(out - expected(stream, x)).max() < (0.02 if integers else 1e-5)


def test_peaks_are_the_largest_magnitudes(isa: Isa) -> None:
    part = mix((5, 37), 21, 35, 21, residual=True)
    stream, x = Stream([part]), picture(part)
    found = [peaks(stream, x, isa, threads)[part.expand] for threads in (1, 3)]
    assert found[0].tobytes() == found[1].tobytes()
    first, expand, _ = (torch.from_numpy(conv.weight) for conv in convolutions_of(part))
    maps = F.conv2d(torch.from_numpy(x).permute(2, 0, 1)[None], first, padding=1, groups=21)[0].permute(1, 2, 0)
    read = normed(maps, 1e-6)
    hidden = F.gelu(read @ expand[:, :, 0, 0].T)
    both = torch.cat([read.abs().amax((0, 1)), hidden.abs().amax((0, 1))])
    np.testing.assert_allclose(found[0], both.numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("channels", "hidden"), [(16, 33), (70, 2 * CHUNK + 15), (CHUNK + 3, 40)])
def test_a_step_of_16_bit_integers(isa: Isa, channels: int, hidden: int) -> None:
    part = mix((4, 45), channels, hidden, channels, residual=True)
    stream, x = Stream([part]), picture(part)
    found = peaks(stream, x, isa, 1)
    plan = plan_stream(stream, isa, 1, found)
    assert plan.kinds == ["mix16"]
    error, exact = run(plan, x, isa, 1) - expected(stream, x), expected(stream, x)
    assert 0 < np.square(error).mean() < 1e-6 * np.square(exact - x).mean(), "60 dB below what the step adds"
    # Inputs beyond all that was measured saturate; no sum overflows.
    small = {conv: peak / 1000 for conv, peak in found.items()}
    wrong = run(plan_stream(stream, isa, 1, small), x, isa, 1) - x
    assert np.abs(wrong).max() < np.abs(exact - x).max()
