"""The faster ways learn the same, are deterministic, resume bit for bit, and take every architecture."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from nervplay.choices import SPEEDS
from nervplay.codec.rate import RateTuned
from nervplay.errors import CapabilityError, Interrupted, UnknownNameError
from nervplay.models import VideoModel, preset_names, resolve_preset
from nervplay.training import Recipe, build_for_training, fit
from nervplay.training.eager import Adam
from nervplay.training.frames import ClipFrames
from nervplay.training.native.frame import mean_error
from nervplay.training.native.library import kernels as native_kernels
from nervplay.training.run import Run
from nervplay.training.speed import get_speed
from nervplay.video.source import ArraySource

CPU = torch.device("cpu")
TINY = [name for name in preset_names() if name.endswith("-tiny")]


def fresh(preset: str, **changes: Any) -> tuple[VideoModel, Recipe]:
    architecture, found = resolve_preset(preset)
    recipe = Recipe.from_json(found.recipe).replace(**changes)
    return build_for_training(architecture.name, found.configure(64, 48, 6), recipe), recipe


@pytest.mark.parametrize("preset", TINY)
def test_every_architecture_takes_a_fast_step(preset: str, moving_clip: ArraySource) -> None:
    losses = []
    for speed in ("exact", "fast"):
        model, recipe = fresh(preset, loss="Fusion6", batch_size=1, speed=speed)
        run = Run(model.train(), ClipFrames(moving_clip, CPU), recipe)
        run.begin_epoch(0)
        run.train_step(0)
        run.train_step(1)
        losses.append(run.record.losses[:2].tolist())
        assert all(parameter.dtype == torch.float32 for parameter in model.parameters())
    assert losses[1] == pytest.approx(losses[0], rel=0.02)


@pytest.mark.parametrize("preset", ["nerv-tiny", "hnerv-tiny"])
def test_a_fast_fit_comes_out_where_the_exact_one_does(preset: str, moving_clip: ArraySource) -> None:
    fits = []
    for speed in ("exact", "fast"):
        model, recipe = fresh(preset, epochs=30, batch_size=2, learning_rate=5e-3, speed=speed)
        fits.append(fit(model, moving_clip, recipe, device="cpu"))
    exact, fast = fits
    assert fast.psnr_db == pytest.approx(exact.psnr_db, abs=0.5)
    ours, theirs = (it.model.stored_state() for it in fits)
    # without bfloat16 it may differ in last bits only, which no frame of bytes shows
    assert any(not torch.equal(value, theirs[name]) for name, value in ours.items()), "it is another arithmetic"


@pytest.mark.skipif(native_kernels() is None, reason="no C compiler is here")
def test_a_fast_step_leaves_adam_and_the_errors_to_the_kernels(
    moving_clip: ArraySource, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("PyTorch was asked")

    monkeypatch.setattr(Adam, "step", refuse)
    monkeypatch.setattr("nervplay.training.speed.float_psnr", refuse)
    monkeypatch.setattr(torch, "tanh", refuse)
    measures = []
    monkeypatch.setattr("nervplay.training.losses.mean_error", lambda *it: measures.append(it[1]) or mean_error(*it))
    model, recipe = fresh("hnerv-tiny", loss="Fusion7", batch_size=2, speed="fast")
    run = Run(model.train(), ClipFrames(moving_clip, CPU), recipe)
    before = [it.detach().clone() for it in model.parameters()]
    run.begin_epoch(0)
    run.train_step(0)
    assert measures == ["square", "absolute"]
    assert any(not torch.equal(it, old) for it, old in zip(model.parameters(), before, strict=True))


def test_a_fast_fit_needs_no_kernels(moving_clip: ArraySource, monkeypatch: pytest.MonkeyPatch) -> None:
    psnrs = []
    for found in (native_kernels(), None):
        monkeypatch.setattr("nervplay.training.speed.find_kernels", lambda it=found: it)
        model, recipe = fresh("hnerv-tiny", epochs=10, batch_size=2, loss="Fusion6", speed="fast")
        psnrs.append(fit(model, moving_clip, recipe, device="cpu").psnr_db)
    assert psnrs[1] == pytest.approx(psnrs[0], abs=0.5)


def test_a_fast_fit_resumes_bit_for_bit(moving_clip: ArraySource, tmp_path: Path) -> None:
    def run(path: Path | None = None, **more: Any) -> dict[str, Tensor]:
        model, recipe = fresh("hnerv-tiny", epochs=3, batch_size=2, speed="fast")
        return fit(model, moving_clip, recipe, device="cpu", resume=path, **more).model.stored_state()

    expected, calls = run(), iter(range(1, 99))
    with pytest.raises(Interrupted):
        run(tmp_path / "r", stop=lambda: next(calls) == 5)
    resumed = run(tmp_path / "r")
    for name, value in expected.items():
        assert torch.equal(value, resumed[name]), name


@pytest.fixture(params=[True, False], ids=["bfloat16", "no bfloat16"])
def bfloat16(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the processor is said to multiply bfloat16."""
    known = torch.cpu.get_capabilities() | {"avx512_bf16": request.param, "amx_tile": False, "bf16": False}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: known)
    return bool(request.param)


def test_what_a_way_does(*, bfloat16: bool) -> None:
    model, _ = fresh("hnerv-tiny")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    for name in SPEEDS:
        speed, fast = get_speed(name, CPU), name != "exact"
        assert (speed.channels_last, speed.fused) == (fast, fast)
        with speed.arithmetic(model):
            assert torch.is_autocast_enabled("cpu") is (fast and bfloat16)
        assert speed.kernels is None or name == "fast"
        speed.prepare(model)
        assert model.head.weight.is_contiguous(memory_format=torch.channels_last) is fast  # type: ignore[union-attr]
        frames = speed.laid(torch.rand(2, 3, 4, 5))
        assert frames.is_contiguous(memory_format=torch.channels_last) is fast
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    with pytest.raises(UnknownNameError, match="did you mean fast"):
        get_speed("fats", CPU)


@pytest.mark.parametrize(("preset", "half"), [("ffnerv-tiny", False), ("hnerv-tiny", True)])
def test_a_network_may_refuse_half_precision(preset: str, *, half: bool, bfloat16: bool) -> None:
    model, _ = fresh(preset)
    for network in (model, RateTuned(model, 1e-3)):
        with get_speed("fast", CPU).arithmetic(network):
            assert torch.is_autocast_enabled("cpu") is (half and bfloat16)


WITH_HALF = ["dnerv-tiny", "e-nerv-tiny", "hnerv-tiny", "nerv-tiny", "snerv-tiny"]


def test_where_bfloat16_costs_quality_fast_is_float32() -> None:
    assert [name for name in TINY if fresh(name)[0].bears_bfloat16] == WITH_HALF


def whole(preset: str) -> Any:
    """A preset whose step must be one graph; the default run takes three of them."""
    return pytest.param(preset, marks=() if preset in {"hnerv-tiny", "nerv-tiny", "pnerv-tiny"} else pytest.mark.slow)


@pytest.mark.parametrize("preset", [whole(name) for name in TINY if name != "ffnerv-tiny"])  # it counts in Python
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # the compiler's own doing
def test_a_step_is_one_graph(preset: str, moving_clip: ArraySource, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the compiler cannot follow it leaves to Python in pieces, and compiles them anew in every step."""
    monkeypatch.setattr("nervplay.training.speed.find_kernels", lambda: None)  # as for "compiled"
    model, recipe = fresh(preset, loss="Fusion6", batch_size=1, speed="fast", patch_size=None)
    run = Run(model.train(), ClipFrames(moving_clip, CPU), recipe)
    torch.compiler.reset()
    frames = [run._speed.laid(tensor) for tensor in run._batches.inputs(model, torch.tensor([2]))]
    compiled = torch.compile(run._eager_objective, backend="eager", fullgraph=True, dynamic=False)
    assert compiled(*frames)[0].item() == pytest.approx(run._eager_objective(*frames)[0].item())


def test_compiling_without_a_compiler_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nervplay.training.speed.shutil.which", lambda _: None)
    with pytest.raises(CapabilityError, match=r"needs a C\+\+ compiler .* or use 'fast'"):
        get_speed("compiled", CPU).compiled(lambda: None)
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setattr("nervplay.training.speed.importlib.util.find_spec", lambda _: True)
    with pytest.raises(CapabilityError, match=r"needs a C compiler on CUDA .* or use 'fast'"):
        get_speed("compiled", torch.device("cuda")).compiled(lambda: None)
    monkeypatch.setattr("nervplay.training.speed.importlib.util.find_spec", lambda _: None)
    with pytest.raises(CapabilityError, match="Triton"):
        get_speed("compiled", torch.device("cuda")).compiled(lambda: None)


def test_tf32_is_on_only_inside_a_faster_way() -> None:
    flags = torch.backends.cuda.matmul, torch.backends.cudnn
    before = [flag.allow_tf32 for flag in flags]
    for name in SPEEDS:
        with get_speed(name, CPU).settings():
            assert [flag.allow_tf32 for flag in flags] == [name != "exact"] * 2
        assert [flag.allow_tf32 for flag in flags] == before


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the compiler, which are none of ours
def test_a_compiled_fit_is_deterministic_and_learns_the_same(moving_clip: ArraySource) -> None:
    results = []
    for speed in ("fast", "compiled", "compiled"):
        model, recipe = fresh("hnerv-tiny", epochs=10, batch_size=2, speed=speed)
        results.append(fit(model, moving_clip, recipe, device="cpu"))
    assert results[1].psnr_db == pytest.approx(results[0].psnr_db, abs=0.5)
    first, second = (it.model.stored_state() for it in results[1:])
    assert all(torch.equal(value, second[name]) for name, value in first.items())
