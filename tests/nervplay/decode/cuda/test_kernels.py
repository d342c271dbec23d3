"""The Triton kernel against the same arithmetic in PyTorch; in the interpreter where there is no GPU."""

from subprocess import CalledProcessError
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from nervplay.decode.cuda import engines
from nervplay.decode.cuda.engines import _span, activated, run_torch, triton_engine
from nervplay.decode.cuda.packing import Tile, choose_tile, inside, map_size, pack
from nervplay.decode.graph import Value
from nervplay.decode.lowering import Conv
from nervplay.decode.quantise import Integers, Units, in_steps, restored, weights8
from nervplay.errors import CapabilityError

TILE = Tile(64, 16, 32, 16, 4, 2)


def conv(channels: int, outputs: int, kernel: tuple[int, int], size: tuple[int, int], **options: Any) -> Conv:
    """Return a convolution with random weights, which keeps the size unless `padding` says otherwise."""
    rng = np.random.default_rng(channels * 100 + outputs)
    padding = options.pop("padding", (kernel[0] // 2, kernel[1] // 2))
    below = options.pop("below", padding)
    out_size = tuple(s + a + b - k + 1 for s, a, b, k in zip(size, padding, below, kernel, strict=True))
    value = Value(0, (), torch.float32)
    weight = rng.standard_normal((outputs, channels, *kernel)).astype(np.float32)
    return Conv(
        weight=weight / np.float32(weight[0].size ** 0.5),
        bias=rng.standard_normal(outputs).astype(np.float32), padding=padding, source=value, target=value, size=size,
        out_size=(out_size[0], out_size[1]), **options,
    )  # fmt: skip


CASES = {
    "1x1": conv(5, 7, (1, 1), (5, 7)),
    "3x3": conv(16, 20, (3, 3), (6, 9)),
    "3x3, a block is a tap": conv(32, 16, (3, 3), (4, 5)),
    "5x5, blocks across taps": conv(33, 12, (5, 5), (5, 6), shuffle=2, activation="gelu"),
    "shuffle 3": conv(9, 27, (3, 3), (4, 3), shuffle=3, activation="silu"),
    "shuffle 5 of 1x1": conv(4, 50, (1, 1), (3, 2), shuffle=5, activation="relu"),
    "separable, down": conv(8, 6, (3, 1), (7, 5)),
    "separable, across": conv(6, 24, (1, 3), (5, 7), shuffle=2, activation="leaky", slope=0.2),
    "uneven padding": conv(8, 8, (3, 3), (5, 5), padding=(0, 2), below=(1, 0)),
    "batch": conv(7, 5, (3, 3), (4, 4), batch=2, activation="sin"),
    "rows": conv(12, 33, (1, 1), (1, 37), rows=True, activation="gelu"),
}


def units(channels: int, zero: int) -> Units:
    """Return units that differ from channel to channel."""
    return Units(np.linspace(0.01, 0.03, channels, dtype=np.float32), zero)


def integers(one: Conv, zero: int) -> Integers:
    """Return a convolution rounded weight by weight."""
    of_input = units(one.weight.shape[1], zero)
    return Integers(of_input, *weights8(in_steps(one.weight, of_input)), one.bias + np.float32(0.1))


def behind(one: Conv, zero: int) -> Units:
    """Return units of what a convolution makes."""
    return units(one.weight.shape[0] // one.shuffle**2, zero)


def inputs(one: Conv, device: torch.device, dtype: torch.dtype, zero: int = 0) -> torch.Tensor:
    """Return a map of random values inside borders of `zero`, with rubbish where channels are padded."""
    generator = torch.Generator().manual_seed(5)
    maps = torch.full(map_size(one), zero, dtype=dtype)
    middle = inside(maps, one)
    if dtype == torch.int8:
        middle.copy_(torch.randint(-128, 128, middle.shape, dtype=torch.int8, generator=generator))
    else:
        middle.copy_(torch.randn(middle.shape, generator=generator))
    return maps.to(device)


def target(one: Conv, device: torch.device, dtype: torch.dtype, *, planar: bool = False) -> torch.Tensor:
    """Return where a result goes, (B, H'', W'', C''), filled with a value that no result has."""
    height, width = (size * one.shuffle for size in one.out_size)
    channels = one.weight.shape[0] // one.shuffle**2
    rubbish = 99 if dtype == torch.int8 else float("nan")
    if planar:
        return torch.full((one.batch, channels, height, width), rubbish, dtype=dtype, device=device).permute(0, 2, 3, 1)
    padded = torch.full((one.batch, height, width, channels + 3), rubbish, dtype=dtype, device=device)
    return padded[..., :channels]


@pytest.mark.parametrize("name", CASES)
def test_integers_to_integers(name: str, device: torch.device) -> None:
    one = CASES[name]
    layer = pack(one, device, integers=integers(one, -77), target=behind(one, -5), tile=TILE)
    x = inputs(one, device, torch.int8, -77)
    got, wanted = (target(one, device, torch.int8) for _ in range(2))
    triton_engine()(layer, x, got)
    run_torch(layer, x, wanted)
    difference = (got.int() - wanted.int()).abs()
    assert difference.max() <= 1
    assert (difference > 0).float().mean() < 0.002, "only on the border of two steps"
    assert len(wanted.unique()) > 20


@pytest.mark.parametrize("name", CASES)
def test_integers_to_floats(name: str, device: torch.device) -> None:
    one = CASES[name]
    layer = pack(one, device, integers=integers(one, 1), tile=TILE._replace(k=64))
    x = inputs(one, device, torch.int8, 1)
    got, wanted = (target(one, device, torch.float32, planar=True) for _ in range(2))
    triton_engine()(layer, x, got)
    run_torch(layer, x, wanted)
    torch.testing.assert_close(got, wanted, atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ["3x3", "5x5, blocks across taps", "batch"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_floats(name: str, dtype: torch.dtype, device: torch.device) -> None:
    if dtype == torch.bfloat16 and device.type == "cpu":
        pytest.skip("needs a GPU: Triton's interpreter multiplies the bits of bfloat16 as integers")
    one = CASES[name]
    layer = pack(one, device, dtype=dtype, tile=TILE)
    x = inputs(one, device, dtype)
    got, wanted = (target(one, device, torch.float32) for _ in range(2))
    triton_engine()(layer, x, got)
    run_torch(layer, x, wanted)
    torch.testing.assert_close(got, wanted, atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize(
    "name",
    ["none", "relu", "leaky", "relu6", "gelu", "silu", "softplus", "hardswish", "sin", "sigmoid", "tanh", "half_tanh"],
)
def test_activations(name: str, device: torch.device) -> None:
    one = conv(16, 16, (1, 1), (8, 9), activation=name, slope=0.1)
    layer = pack(one, device, dtype=torch.float32, tile=TILE)
    x = inputs(one, device, torch.float32) * 4
    got, wanted = (target(one, device, torch.float32) for _ in range(2))
    triton_engine()(layer, x, got)
    run_torch(layer, x, wanted)
    torch.testing.assert_close(got, wanted, atol=2e-6, rtol=2e-6)
    assert activated(torch.tensor([-1.0]), name, 0.1).shape == (1,)


def test_the_reference_is_a_convolution_of_what_the_integers_stand_for() -> None:
    one = CASES["5x5, blocks across taps"]
    given = integers(one, -77)
    layer = pack(one, torch.device("cpu"), integers=given)
    x = inputs(one, torch.device("cpu"), torch.int8, -77)
    got = target(one, torch.device("cpu"), torch.float32)
    run_torch(layer, x, got)
    weight = given.weight * given.unit[:, None, None, None] / given.units.scale[:, None, None]
    real = torch.from_numpy(restored(inside(x, one)[..., :33].numpy(), given.units)).permute(0, 3, 1, 2)
    wanted = F.conv2d(real, torch.from_numpy(weight), torch.from_numpy(given.bias), padding=2)
    wanted = F.gelu(F.pixel_shuffle(wanted, 2))
    torch.testing.assert_close(got.permute(0, 3, 1, 2), wanted, atol=1e-4, rtol=1e-4)


def test_what_is_stored_is_what_floats_round_to() -> None:
    one = CASES["shuffle 3"]
    cpu = torch.device("cpu")
    after = behind(one, -5)
    x = inputs(one, cpu, torch.int8, -77)
    exact, got = target(one, cpu, torch.float32), target(one, cpu, torch.int8)
    run_torch(pack(one, cpu, integers=integers(one, -77)), x, exact)
    run_torch(pack(one, cpu, integers=integers(one, -77), target=after), x, got)
    inside = (exact > torch.from_numpy(after.low)) & (exact < torch.from_numpy(after.high))
    error = (torch.from_numpy(restored(got.numpy(), after)) - exact).abs()
    assert inside.float().mean() > 0.5
    assert (error <= torch.from_numpy(after.scale) * 0.501)[inside].all()


def test_blocks_change_no_integer(device: torch.device) -> None:
    one = CASES["5x5, blocks across taps"]
    x = inputs(one, device, torch.int8, 3)
    made = []
    for tile in (
        TILE,
        Tile(16, 32, 64, 16, 4, 2),
        Tile(128, 16, 128, 32, 4, 3, cached=True),
        Tile(32, 64, 64, 4, 4, 1),
    ):
        made.append(target(one, device, torch.int8))
        triton_engine()(pack(one, device, integers=integers(one, 3), target=behind(one, 0), tile=tile), x, made[-1])
    assert all(torch.equal(one, made[0]) for one in made)


@pytest.mark.parametrize("name", ["1x1", "5x5, blocks across taps", "shuffle 3"])
def test_padding_is_stored_as_zero(name: str, device: torch.device) -> None:
    one = CASES[name]
    x = inputs(one, device, torch.int8, 3)
    given, after = integers(one, 3), behind(one, -5)
    exact = target(one, device, torch.int8)
    triton_engine()(pack(one, device, integers=given, target=after, tile=TILE), x, exact)
    wide = torch.full((*exact.shape[:3], 16), 99, dtype=torch.int8, device=device)
    layer = pack(one, device, integers=given, target=after, stored=16, tile=TILE)
    for engine in (triton_engine(), run_torch):
        engine(layer, x, wide)
        assert (wide[..., : exact.shape[3]].int() - exact.int()).abs().max() <= (engine is run_torch)
        assert (wide[..., exact.shape[3] :] == -5).all()


def test_blocks_fit_their_convolutions() -> None:
    full_hd = conv(61, 204, (5, 5), (540, 960), shuffle=2)
    assert choose_tile(full_hd, 64, integer=True) == Tile(128, 128, 64, 16, 8, 3, cached=True)
    assert choose_tile(full_hd, 48, integer=True).n == 64, "less padding"
    assert choose_tile(conv(105, 792, (3, 3), (45, 80), shuffle=3), 96, integer=True).n == 128, "27 blocks are slower"
    assert choose_tile(conv(28, 3, (3, 3), (640, 1280)), 3, integer=True) == Tile(128, 16, 64, 16, 4, 1)
    assert choose_tile(conv(64, 96, (1, 1), (1, 999), rows=True), 96, integer=False) == Tile(64, 128, 32, 64, 4, 3)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (RuntimeError("Failed to find C compiler. Please specify via CC.\nMore."), "Failed to find C compiler"),
        (CalledProcessError(1, ["gcc", "main.c"]), "Python's header files"),
        (None, "out of resource: shared memory"),
    ],
)
def test_a_kernel_that_cannot_be_started_is_one_clear_line(
    error: Exception | None, words: str, device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    from triton.runtime.errors import OutOfResources

    class Kernel:
        def __getitem__(self, _: object) -> object:
            raise error or OutOfResources(300000, 101376, "shared memory")

    one = CASES["3x3"]
    monkeypatch.setattr("nervplay.decode.cuda.kernels.conv_kernel", Kernel())
    x, out = inputs(one, device, torch.int8), target(one, device, torch.float32)
    with pytest.raises(CapabilityError, match=words) as caught:
        triton_engine()(pack(one, device, integers=integers(one, 0), tile=TILE), x, out)
    assert "\n" not in str(caught.value)
    assert "use --precision bf16" in str(caught.value)


def test_maps_are_as_long_as_their_memory_not_as_their_view() -> None:
    whole = torch.empty(1, 2160, 3840, 272, dtype=torch.int8, device="meta")
    view = whole[..., :257]
    assert view.numel() < 2**31 <= _span(view) < whole.numel()
    planar = torch.empty(1, 3, 4, 5).permute(0, 2, 3, 1)
    assert _span(planar) == 60
    assert _span(torch.empty(2, 3)[:, :1]) == 4


def test_the_kernel_is_told_of_large_maps(device: torch.device, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[bool] = []

    class Kernel:
        def __getitem__(self, _: object) -> object:
            return lambda *_, **options: told.append(options["WIDE"])

    one = CASES["1x1"]
    x, out = inputs(one, device, torch.int8), target(one, device, torch.int8)
    layer = pack(one, device, integers=integers(one, 0), target=behind(one, 0), tile=TILE)
    monkeypatch.setattr("nervplay.decode.cuda.kernels.conv_kernel", Kernel())
    for limit in (_span(out), _span(out) + 1):
        monkeypatch.setattr(engines, "_WIDE", limit)
        triton_engine()(layer, x[:, :1], out)
    assert told == [True, False]


@pytest.mark.parametrize("name", ["3x3", "shuffle 3", "batch"])
def test_addresses_of_large_maps(name: str, device: torch.device, monkeypatch: pytest.MonkeyPatch) -> None:
    one = CASES[name]
    x = inputs(one, device, torch.int8, -77)
    layer = pack(one, device, integers=integers(one, -77), target=behind(one, -5), tile=TILE)
    got, wanted = (target(one, device, torch.int8) for _ in range(2))
    triton_engine()(layer, x, wanted)
    monkeypatch.setattr(engines, "_WIDE", 1)
    triton_engine()(layer, x, got)
    assert torch.equal(got, wanted)
