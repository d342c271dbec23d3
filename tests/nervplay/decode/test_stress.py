"""Several decoders at once, under everything that a player does: no wrong frame, no thread left, no memory lost."""

import random
import threading
from fractions import Fraction
from hashlib import sha256

import pytest
import torch

from nervplay.decode import NativeDecoder
from nervplay.models import VideoModel, build_model, resolve_preset
from nervplay.video.spec import VideoSpec

SPEC = VideoSpec(width=64, height=32, frame_count=6, rate=Fraction(24))
PRECISIONS = ("fp32", "int8", "bf16")


@pytest.fixture(scope="module")
def models() -> list[VideoModel]:
    made = []
    for seed, preset in enumerate(("hnerv-tiny", "nerv-tiny", "hinerv-tiny", "nerv-lrconv-tiny")):
        entry, found = resolve_preset(preset)
        torch.manual_seed(seed)
        made.append(build_model(entry.name, found.configure(64, 32, 6)).eval())
    return made


def hashes(model: VideoModel) -> dict[tuple[str, int], str]:
    """Return what each frame must be, by precision and index, from a decoder that does nothing else."""
    found = {}
    with NativeDecoder(model, SPEC, threads=1) as decoder:
        for precision in PRECISIONS:
            decoder.set_precision(precision)
            for index in range(6):
                found[precision, index] = sha256(decoder.frame(index)).hexdigest()
    return found


def work(model: VideoModel, operations: int, seed: int, faults: list[str]) -> None:
    """Do random things with a decoder and note each wrong frame."""
    wanted, choice = hashes(model), random.Random(seed)
    decoder = NativeDecoder(model, SPEC, threads=2)
    for step in range(operations):
        action = choice.randrange(8)
        if action == 0:
            decoder.set_precision(choice.choice(PRECISIONS))
        elif action == 1:
            stream = decoder.frames(choice.choices(range(6), k=4))
            next(stream)
            decoder.cancel()
            if list(stream):
                faults.append(f"step {step}: frames after cancel")
        elif action == 2:
            indices = choice.choices(range(6), k=3)
            for index, frame in zip(indices, decoder.frames(indices), strict=True):
                if sha256(frame).hexdigest() != wanted[decoder.precision, index]:
                    faults.append(f"step {step}: frame {index} of a stream")
        elif action == 3 and choice.random() < 0.1:
            decoder.close()
            decoder = NativeDecoder(model, SPEC, threads=choice.choice([1, 2, 3]))
        else:
            index = choice.randrange(6)
            if sha256(decoder.frame(index)).hexdigest() != wanted[decoder.precision, index]:
                faults.append(f"step {step}: frame {index} in {decoder.precision}")
    decoder.close()


def resident() -> int:
    """Return the resident memory of this process, in KiB."""
    with open("/proc/self/status", encoding="ascii") as status:  # noqa: PTH123 - a file of the kernel
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


def rush(models: list[VideoModel], operations: int) -> list[str]:
    faults: list[str] = []
    threads = [
        threading.Thread(target=work, args=(model, operations // len(models), seed, faults))
        for seed, model in enumerate(models)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return faults


def test_five_hundred_operations(models: list[VideoModel]) -> None:
    before = set(threading.enumerate())
    assert rush(models, 500) == []
    assert set(threading.enumerate()) <= before, "no thread is left"


@pytest.mark.slow
def test_ten_thousand_operations_lose_no_memory(models: list[VideoModel]) -> None:
    assert rush(models, 1000) == []
    before = resident()
    assert rush(models, 10_000) == []
    assert resident() < before + 40_000
