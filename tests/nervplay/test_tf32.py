"""TF32 is what a block asks for, whichever of PyTorch's settings the process has used, and they come back after it."""

import os
import subprocess
import sys

import pytest

SCRIPT = """
import os
import sys
import torch
from nervplay.tf32 import tf32_set

matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn


def told(ask):
    try:
        return ask()
    except RuntimeError:
        return "mixed"


def state():
    asked = [lambda: matmul.allow_tf32, lambda: cudnn.allow_tf32, lambda: matmul.fp32_precision]
    asked += [lambda: cudnn.conv.fp32_precision, lambda: cudnn.rnn.fp32_precision, lambda: cudnn.fp32_precision]
    return [told(ask) for ask in [*asked, lambda: torch.backends.fp32_precision, torch.get_float32_matmul_precision]]


def check(settings):
    exec(settings)
    before = state()
    for allowed in (True, False):
        with tf32_set(allowed):
            words = [word.fp32_precision == "tf32" for word in (matmul, cudnn.conv, cudnn.rnn)]
            assert words == [allowed] * 3, (allowed, state())
            assert told(lambda: matmul.allow_tf32) is allowed, state()
            with tf32_set(not allowed):
                assert (cudnn.conv.fp32_precision == "tf32") is not allowed
            assert (cudnn.conv.fp32_precision == "tf32") is allowed
        assert state() == before, (allowed, before, state())


# each in a fresh process, which costs little where PyTorch is imported before
for settings in sys.argv[1:]:
    if not (child := os.fork()):
        check(settings)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        sys.exit("failed: " + settings)
"""


BEFORE = (
    "",
    "matmul.allow_tf32, cudnn.allow_tf32 = True, False",
    "torch.set_float32_matmul_precision('high')",
    "torch.set_float32_matmul_precision('medium')",
    "torch.backends.fp32_precision = 'tf32'",
    "torch.backends.fp32_precision = 'ieee'",
    "cudnn.fp32_precision = 'tf32'",
    "matmul.fp32_precision = 'tf32'",
    "cudnn.conv.fp32_precision = 'ieee'",
    "matmul.fp32_precision, cudnn.conv.fp32_precision = 'tf32', 'ieee'",
)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot be copied here")
def test_settings() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT, *BEFORE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-600:]
