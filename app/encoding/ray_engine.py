"""The Ray engine: parts are tasks of a Ray cluster, on this machine or on many.

A task fits one part. It works in the folder of the parts where its machine sees that folder (one machine, or a shared
file system): then its state is saved there every few seconds, and a task that is started again, because its worker
died or the program was, goes on from it. Elsewhere it works in a folder of its own, and a lost task starts at zero.
The finished file travels back with the task's result and is written by the program that joins them.

Every task computes with one thread, so that a part has the same bits wherever it was fitted.
"""

import logging
import os
import re
import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from app.encoding.parts import Part, fit_part, is_done, part_path
from app.encoding.report import PartReport
from nervplay.bitstream import replacing
from nervplay.errors import CapabilityError, Interrupted, NervplayError
from nervplay.training.frame_store import MEMORY_SHARE, available_memory

__all__ = ["RETRIES", "run_ray"]

RETRIES = 5
"""How often a part is started again when its worker is lost."""
_KNOCK = 10.0  # seconds to wait for a cluster
_TICK = 0.2  # seconds between two looks at the tasks


class _Board:
    """Runs as a Ray actor: tasks write their reports here, the program reads them."""

    def __init__(self) -> None:
        self._reports: dict[int, tuple[Any, ...]] = {}

    def write(self, report: tuple[Any, ...]) -> None:
        """Note the latest report of a part."""
        self._reports[report[0]] = report

    def read(self) -> list[tuple[Any, ...]]:
        """Return the latest report of every part."""
        return list(self._reports.values())


def _fit_remotely(folder: str, part: Part, board: Any) -> bytes:
    """Runs as a Ray task: fit a part, return the bytes of its file."""
    import torch  # noqa: PLC0415 - the program that only waits for the cluster need not wait for this

    torch.set_num_threads(1)
    if part.frame_memory is None:  # as many tasks as there are cores may share this machine
        share = available_memory() * MEMORY_SHARE / (os.cpu_count() or 1)
        part = replace(part, frame_memory=int(share))
    last = 0.0

    def tell(now: Any) -> None:
        nonlocal last
        if time.monotonic() - last > _TICK:
            board.write.remote(tuple(PartReport.of(part, now)))
            last = time.monotonic()

    with tempfile.TemporaryDirectory(prefix="nervplay-") as own:
        place = Path(folder) if Path(folder).is_dir() else Path(own)
        return fit_part(place, part, progress=tell).read_bytes()


def _check_address(address: str | None) -> None:
    """Knock where a cluster should be: Ray itself would wait for it for minutes.

    Raises:
        CapabilityError: nobody is there.
    """
    match = re.fullmatch(r"(?:ray://)?([^:/]+):([0-9]+)", address or "")
    if match is None:
        return
    try:
        socket.create_connection((match[1], int(match[2])), timeout=_KNOCK).close()
    except (OSError, OverflowError) as error:
        raise CapabilityError(f"no Ray cluster at '{address}' ({error}); start one, or leave the address out") from None


@contextmanager
def _cluster(address: str | None) -> Iterator[Any]:
    """Yield the module ray, connected; the connection ends with the block, a cluster of our own with it.

    Raises:
        CapabilityError: Ray is not installed, or there is no such cluster.
    """
    try:
        import ray  # noqa: PLC0415 - optional
    except ImportError:
        raise CapabilityError("the engine ray needs Ray: pip install 'nervplay[ray]', or use --engine local") from None
    joined = ray.is_initialized()
    if not joined:
        _check_address(address)
        try:
            ray.init(address=address, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
        except ConnectionError as error:
            raise CapabilityError(
                f"no Ray cluster at '{address}' ({error}); start one, or leave the address out"
            ) from None
    try:
        yield ray
    finally:
        if not joined:
            ray.shutdown()


def run_ray(
    folder: Path,
    parts: Sequence[Part],
    *,
    report: Callable[[PartReport], None] | None = None,
    stop: Callable[[], bool] | None = None,
    address: str | None = None,
) -> None:
    """Fit all parts that are not finished, as tasks of a Ray cluster; results are kept as they come.

    Args:
        folder: where parts and their states lie; it exists.
        parts: the work.
        report: told how far each part is.
        stop: asked a few times a second.
        address: of a running cluster ("auto", "ray://host:port"); None starts one on this machine.

    Raises:
        CapabilityError: Ray is not installed, or there is no such cluster.
        Interrupted: `stop` returned true; finished parts and saved states stay.
        NervplayError: what a part raised, or a part whose worker was lost too often; finished parts stay.
    """
    tell = report or (lambda _report: None)
    left = []
    for part in parts:
        if is_done(folder, part):
            tell(PartReport.finished(part))
        else:
            left.append(part)
    if not left:
        return
    with _cluster(address) as ray:
        board = ray.remote(num_cpus=0)(_Board).remote()
        wants_gpu = any(part.device.startswith("cuda") for part in left)
        task = ray.remote(num_cpus=1, num_gpus=int(wants_gpu), max_retries=RETRIES)(_fit_remotely)
        running = {task.remote(str(folder.resolve()), part, board): part for part in left}
        try:
            while running:
                _gather(folder, running, board, ray, tell)
                if stop is not None and stop():
                    done = f"{len(parts) - len(running)} of {len(parts)} segments done"
                    raise Interrupted(f"stopped with {done}; all is saved in {folder}")
        finally:
            for reference in running:
                ray.cancel(reference, force=True)


def _gather(folder: Path, running: dict[Any, Part], board: Any, ray: Any, tell: Callable[[PartReport], None]) -> None:
    """Wait a moment, keep the parts that are finished and take them out of `running`, pass on all reports."""
    finished, _ = ray.wait(list(running), timeout=_TICK)
    for reference in finished:
        part = running.pop(reference)
        _keep(folder, part, reference, ray)
        tell(PartReport.finished(part))
    numbers = {part.number for part in running.values()}
    for row in ray.get(board.read.remote()):
        if row[0] in numbers:
            tell(PartReport(*row))


def _keep(folder: Path, part: Part, reference: Any, ray: Any) -> None:
    """Write the file of a finished part, unless its task has done so itself.

    Raises:
        NervplayError: what the task raised, or that its worker was lost.
    """
    try:
        data = ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        cause = error.cause
        if isinstance(cause, NervplayError):
            raise cause from None
        raise NervplayError(f"segment {part.number} failed: {' '.join(str(cause).split())}") from error
    except ray.exceptions.RayError as error:
        reason = " ".join(str(error).split())[:200]
        raise NervplayError(
            f"segment {part.number} was lost {RETRIES + 1} times ({reason}); --resume goes on"
        ) from error
    target = part_path(folder, part.number)
    if not target.exists():
        with replacing(target, overwrite=True) as beside:
            beside.write_bytes(data)
