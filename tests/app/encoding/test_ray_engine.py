"""Parts on a real local Ray cluster of several processes, workers killed in the middle of their work."""

import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from kin import descendants

from app.encoding.local import run_local
from app.encoding.parts import Part, part_path
from app.encoding.ray_engine import run_ray
from app.encoding.report import PartReport
from nervplay.errors import GeometryError, Interrupted

ray = pytest.importorskip("ray", reason="Ray is optional: pip install 'nervplay[ray]'")
pytestmark = pytest.mark.filterwarnings("ignore")  # Ray's own


@pytest.fixture(scope="module")
def cluster():
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level=40)
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def longer(parts: list[Part]) -> list[Part]:
    """Parts that take some seconds each: long enough to be killed on the way on a busy machine, too."""
    return [replace(part, recipe=part.recipe.replace(epochs=30), save_every=0.05) for part in parts]


@pytest.fixture(scope="module")
def expected(longer: list[Part], tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """What one thread of this process makes of them."""
    threads, folder = torch.get_num_threads(), tmp_path_factory.mktemp("local")
    torch.set_num_threads(1)
    run_local(folder, longer)
    torch.set_num_threads(threads)
    return contents(folder, longer)


def contents(folder: Path, parts: list[Part]) -> list[bytes]:
    return [part_path(folder, part.number).read_bytes() for part in parts]


def fitting() -> list[int]:
    """The processes of this test's workers that run a part."""
    return descendants(os.getpid(), b"ray::_fit_remotely")


@pytest.mark.parametrize("kills", [1, pytest.param(2, marks=pytest.mark.slow)])
@pytest.mark.usefixtures("cluster")
def test_a_killed_worker_costs_nothing(longer: list[Part], expected: list[bytes], tmp_path: Path, kills: int) -> None:
    folder = tmp_path / "ray"
    folder.mkdir()
    killed: list[int] = []

    def report(now: PartReport) -> None:
        if len(killed) < kills and 0.1 < now.share < 1:
            for worker in [worker for worker in fitting() if worker not in killed][:1]:
                os.kill(worker, signal.SIGKILL)
                killed.append(worker)

    run_ray(folder, longer, report=report)
    assert len(set(killed)) == kills, "different workers were killed"
    assert contents(folder, longer) == expected
    assert not list(folder.glob("0*.resume"))


@pytest.mark.slow
@pytest.mark.usefixtures("cluster")
def test_stopped_and_resumed(longer: list[Part], expected: list[bytes], tmp_path: Path) -> None:
    folder = tmp_path / "ray"
    folder.mkdir()
    with pytest.raises(Interrupted, match="all is saved in"):
        run_ray(folder, longer, stop=lambda: True)
    done: list[int] = []
    run_ray(folder, longer, report=lambda now: done.append(now.number) if now.share == 1 else None)
    assert set(done) == {0, 1, 2}
    assert contents(folder, longer) == expected


@pytest.mark.usefixtures("cluster")
def test_the_error_of_a_part_is_its_own(parts: list[Part], tmp_path: Path) -> None:
    folder = tmp_path / "ray"
    folder.mkdir()
    wrong = replace(parts[0], config=replace(parts[0].config, frame_count=7))
    with pytest.raises(GeometryError, match="the network stands for 7 frames"):
        run_ray(folder, [wrong])
