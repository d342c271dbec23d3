"""The whole fit: it learns, it is deterministic, and it can be stopped, killed and resumed without leaving a trace."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from nervplay.errors import CapabilityError, CheckpointError, GeometryError, Interrupted, UsageError
from nervplay.models import ModelConfig, VideoModel, resolve_preset
from nervplay.training import Progress, Recipe, build_for_training, fit
from nervplay.video.source import ArraySource

PRESETS = ("nerv-tiny", "hnerv-tiny")


def fresh(preset: str, **changes: Any) -> tuple[VideoModel, Recipe]:
    architecture, found = resolve_preset(preset)
    recipe = Recipe.from_json(found.recipe).replace(**changes)
    return build_for_training(architecture.name, found.configure(64, 48, 6), recipe), recipe


def state(model: VideoModel) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.stored_state().items()}


def assert_same_bits(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.equal(value, other[name]), name


def stop_after(steps: int) -> Any:
    answers = iter([False] * (steps - 1) + [True])
    return lambda: next(answers)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_fit_learns_and_the_stored_network_shows_it(preset: str, moving_clip: ArraySource) -> None:
    model, recipe = fresh(preset, epochs=40, learning_rate=5e-3)
    reports: list[Progress] = []
    result = fit(model, moving_clip, recipe, device="cpu", progress=reports.append)
    assert result.model is model
    assert not model.training
    assert result.loss < 0.6 * reports[0].loss
    assert result.psnr_db > reports[0].psnr_db + 3
    assert result.frames_per_second == pytest.approx(40 * 6 / result.seconds, rel=0.1)
    decoder = type(model)(model.config)
    decoder.load_stored_state(model.stored_state())
    frames = np.stack(list(moving_clip.frames())).transpose(0, 3, 1, 2) / 255
    with torch.no_grad():
        error = (decoder.eval()(torch.arange(6)).numpy() - frames) ** 2
    assert -10 * np.log10(error.mean()) == pytest.approx(result.psnr_db, abs=1.0)


def test_too_little_memory_is_one_clear_line(moving_clip: ArraySource, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError

    monkeypatch.setattr("nervplay.training.loop.Run.train_step", full)
    model, recipe = fresh("nerv-tiny")
    with pytest.raises(CapabilityError, match="too little free memory for this fit; use a smaller batch size"):
        fit(model, moving_clip, recipe, device="cpu")


@pytest.mark.parametrize("preset", PRESETS)
def test_two_runs_are_equal_bit_for_bit(preset: str, moving_clip: ArraySource) -> None:
    states = []
    for _ in range(2):
        model, recipe = fresh(preset, epochs=3)
        torch.rand(5)  # what other code draws between building and fitting changes nothing
        states.append(state(fit(model, moving_clip, recipe, device="cpu").model))
    assert_same_bits(*states)
    model, recipe = fresh(preset, epochs=3, seed=2)
    other = state(fit(model, moving_clip, recipe, device="cpu").model)
    assert not any(torch.equal(other[name], value) for name, value in states[0].items())


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("stops", [(1,), (3,), (6,), (7, 4), (1, 1, 1, 1)])
def test_a_stopped_run_resumes_bit_for_bit(
    preset: str, stops: tuple[int, ...], moving_clip: ArraySource, tmp_path: Path
) -> None:
    model, recipe = fresh(preset, epochs=4, batch_size=2)
    expected = state(fit(model, moving_clip, recipe, device="cpu").model)
    path = tmp_path / "clip.nerv.resume"
    for steps in stops:
        model, recipe = fresh(preset, epochs=4, batch_size=2)
        with pytest.raises(Interrupted, match="saved in"):
            fit(model, moving_clip, recipe, device="cpu", resume=path, stop=stop_after(steps))
    model, recipe = fresh(preset, epochs=4, batch_size=2)
    reports: list[Progress] = []
    result = fit(model, moving_clip, recipe, device="cpu", resume=path, progress=reports.append)
    assert_same_bits(state(result.model), expected)
    assert (reports[0].epoch - 1) * 3 + reports[0].step == sum(stops) + 1, "nothing was done twice"


@pytest.mark.parametrize("speed", ["exact", "fast"])
def test_accumulated_batches_resume_bit_for_bit(speed: str, moving_clip: ArraySource, tmp_path: Path) -> None:
    def run(path: Path | None = None, **more: Any) -> dict[str, Tensor]:
        model, recipe = fresh("hnerv-tiny", epochs=3, batch_size=1, accumulate=2, speed=speed)
        return state(fit(model, moving_clip, recipe, device="cpu", resume=path, **more).model)

    path = tmp_path / "clip.nerv.resume"
    with pytest.raises(Interrupted):
        run(path, stop=stop_after(5))
    assert_same_bits(run(path), run())


def test_noise_and_unused_parameters_survive_a_resume(
    plain: Any, plain_config: ModelConfig, moving_clip: ArraySource, tmp_path: Path
) -> None:
    recipe = Recipe(epochs=3, batch_size=2)

    def build() -> Any:
        torch.manual_seed(0)
        return plain(plain_config, encoder=True, noise=0.1)

    expected = state(fit(build(), moving_clip, recipe, device="cpu").model)
    path = tmp_path / "r"
    with pytest.raises(Interrupted):
        fit(build(), moving_clip, recipe, device="cpu", resume=path, stop=stop_after(4))
    torch.manual_seed(99)
    resumed = fit(build(), moving_clip, recipe, device="cpu", resume=path)
    assert_same_bits(state(resumed.model), expected)


def test_steps_run_in_training_mode_and_embeddings_in_eval_mode(
    plain: Any, plain_config: ModelConfig, moving_clip: ArraySource
) -> None:
    model = plain(plain_config, encoder=True).eval()
    fit(model, moving_clip, Recipe(epochs=2, batch_size=3), device="cpu")
    assert model.modes == [True] * 4 + [False] * 6
    means = torch.stack([torch.from_numpy(f).float().div(255).mean((0, 1)) for f in moving_clip.frames()])
    assert torch.allclose(model.embedding, model.encoder(means).detach(), atol=1e-5)


def test_a_finished_run_is_not_done_again(moving_clip: ArraySource, tmp_path: Path) -> None:
    path = tmp_path / "r"
    model, recipe = fresh("hnerv-tiny", epochs=2)
    first = fit(model, moving_clip, recipe, device="cpu", resume=path)
    expected = state(model)
    model, _ = fresh("hnerv-tiny", epochs=2)
    again = fit(model, moving_clip, recipe, device="cpu", resume=path, stop=lambda: pytest.fail("a step was done"))
    assert_same_bits(state(model), expected)
    assert (again.psnr_db, again.loss) == (first.psnr_db, first.loss)
    assert again.frames_per_second == 0.0


KILLED = """
import sys
from pathlib import Path
import numpy as np, torch
import nervplay.training.watch as watch
from nervplay.models import resolve_preset
from nervplay.training import Recipe, build_for_training, fit
from nervplay.video.source import ArraySource
torch.set_num_threads(1)
watch.TICK = 0.0
preset, clip, path = sys.argv[1:]
architecture, found = resolve_preset(preset)
recipe = Recipe.from_json(found.recipe).replace(epochs=16)
model = build_for_training(architecture.name, found.configure(64, 48, 6), recipe)
fit(model, ArraySource(np.load(clip)), recipe, device="cpu", resume=Path(path), save_every=0.0,
    progress=lambda p: print(p.epoch, p.step, flush=True))
"""


@pytest.mark.parametrize("preset", [pytest.param("nerv-tiny", marks=pytest.mark.slow), "hnerv-tiny"])
def test_a_killed_run_resumes_bit_for_bit(preset: str, moving_clip: ArraySource, tmp_path: Path) -> None:
    clip, path = tmp_path / "clip.npy", tmp_path / "clip.nerv.resume"
    np.save(clip, np.stack(list(moving_clip.frames())))
    command = [sys.executable, "-c", KILLED, preset, str(clip), str(path)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    ) as child:
        assert child.stdout is not None
        for line in child.stdout:
            if line.split() == ["7", "2"]:
                break
        child.kill()
    assert child.returncode == -9, "killed while it ran"
    model, recipe = fresh(preset, epochs=16)
    expected = state(fit(model, moving_clip, recipe, device="cpu").model)
    model, _ = fresh(preset, epochs=16)
    reports: list[Progress] = []
    resumed = fit(model, moving_clip, recipe, device="cpu", resume=path, progress=reports.append)
    assert reports[0].epoch >= 7
    assert_same_bits(state(resumed.model), expected)


def test_a_state_of_another_run_is_refused_and_kept(moving_clip: ArraySource, tmp_path: Path) -> None:
    path = tmp_path / "r"
    model, recipe = fresh("hnerv-tiny", epochs=2)
    with pytest.raises(Interrupted):
        fit(model, moving_clip, recipe, device="cpu", resume=path, stop=stop_after(2))
    kept = path.read_bytes()
    for changes, field in (
        ({"epochs": 3}, "recipe.epochs"),
        ({"seed": 2}, "recipe.seed"),
        ({"loss": "L1"}, "recipe.loss"),
    ):
        model, other = fresh("hnerv-tiny", **({"epochs": 2} | changes))
        with pytest.raises(CheckpointError, match=f"its {field} .*--overwrite"):
            fit(model, moving_clip, other, device="cpu", resume=path)
    darker = ArraySource(np.stack(list(moving_clip.frames())) // 2)
    model, _ = fresh("hnerv-tiny", epochs=2)
    with pytest.raises(CheckpointError, match=r"its source\.frames_sha256"):
        fit(model, darker, recipe, device="cpu", resume=path)
    model, _ = fresh("nerv-tiny")
    with pytest.raises(CheckpointError, match="its architecture is hnerv, not nerv"):
        fit(model, moving_clip, recipe, device="cpu", resume=path)
    assert path.read_bytes() == kept


def test_a_diverging_fit_says_so_and_saves_nothing(
    plain: Any, plain_config: ModelConfig, moving_clip: ArraySource, tmp_path: Path
) -> None:
    model = plain(plain_config, encoder=True)
    model.scale = 1e30
    with pytest.raises(UsageError, match="epoch 1 of 2, step 1 of 3; use a lower learning rate"):
        fit(model, moving_clip, Recipe(epochs=2, batch_size=2), device="cpu", resume=tmp_path / "r", save_every=0.0)
    assert not list(tmp_path.iterdir())


def test_weights_that_are_not_finite_are_no_result(
    plain: Any, plain_config: ModelConfig, moving_clip: ArraySource
) -> None:
    model = plain(plain_config, encoder=True)
    with torch.no_grad():
        model.unused[1] = torch.nan
    with pytest.raises(UsageError, match="'unused' not finite"):
        fit(model, moving_clip, Recipe(epochs=1), device="cpu")


@pytest.mark.parametrize("shape", [(5, 48, 64, 3), (6, 50, 64, 3), (6, 48, 66, 3)])
def test_a_clip_that_does_not_fit_the_network_is_refused(shape: tuple[int, ...]) -> None:
    model, recipe = fresh("nerv-tiny", epochs=1)
    with pytest.raises(GeometryError, match=f"{shape[0]} frames of {shape[2]}x{shape[1]}.*6 frames of 64x48"):
        fit(model, ArraySource(np.zeros(shape, np.uint8)), recipe, device="cpu")


def test_a_loss_that_the_frames_are_too_small_for_is_refused(moving_clip: ArraySource) -> None:
    model, recipe = fresh("hnerv-tiny", epochs=1, loss="Fusion10")
    with pytest.raises(GeometryError, match="161"):
        fit(model, moving_clip, recipe, device="cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_cuda_that_is_not_there_is_refused(moving_clip: ArraySource) -> None:
    model, recipe = fresh("nerv-tiny", epochs=1)
    with pytest.raises(CapabilityError, match="cuda"):
        fit(model, moving_clip, recipe, device="cuda")


def test_the_seed_decides_the_initial_weights() -> None:
    first, _ = fresh("hnerv-tiny")
    torch.rand(3)
    second, _ = fresh("hnerv-tiny")
    third, _ = fresh("hnerv-tiny", seed=5)
    assert first.encoder is not None
    assert_same_bits(first.state_dict(), second.state_dict())
    assert not torch.equal(first.state_dict()["head.weight"], third.state_dict()["head.weight"])


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pytest.mark.parametrize("preset", PRESETS)
def test_cuda_is_deterministic_and_resumes_bit_for_bit(preset: str, moving_clip: ArraySource, tmp_path: Path) -> None:
    states = []
    for _ in range(2):
        model, recipe = fresh(preset, epochs=4, batch_size=2)
        states.append(state(fit(model, moving_clip, recipe, device="cuda").model))
    assert_same_bits(*states)
    model, _ = fresh(preset, epochs=4, batch_size=2)
    with pytest.raises(Interrupted):
        fit(model, moving_clip, recipe, device="cuda", resume=tmp_path / "r", stop=stop_after(5))
    model, _ = fresh(preset, epochs=4, batch_size=2)
    assert_same_bits(state(fit(model, moving_clip, recipe, device="cuda", resume=tmp_path / "r").model), states[0])
