import math

import pytest
import torch

from nervplay.blocks.activation import activation, picture
from nervplay.errors import UnknownNameError

X = [-4.0, -1.0, -0.5, 0.0, 0.5, 2.0, 7.0]

FORMULAS = {
    "relu": lambda x: max(x, 0.0),
    "leaky": lambda x: x if x > 0 else 0.01 * x,
    "leaky01": lambda x: x if x > 0 else 0.1 * x,
    "relu6": lambda x: min(max(x, 0.0), 6.0),
    "gelu": lambda x: 0.5 * x * (1 + math.erf(x / math.sqrt(2))),
    "swish": lambda x: x / (1 + math.exp(-x)),
    "softplus": lambda x: math.log1p(math.exp(x)),
    "hardswish": lambda x: x * min(max(x + 3, 0.0), 6.0) / 6,
}


@pytest.mark.parametrize("name", FORMULAS)
def test_every_activation_is_its_formula(name: str) -> None:
    expected = torch.tensor([FORMULAS[name](x) for x in X])
    torch.testing.assert_close(activation(name)(torch.tensor(X)), expected)


def test_an_unknown_activation_is_refused_with_the_nearest_names() -> None:
    with pytest.raises(UnknownNameError, match="did you mean leaky"):
        activation("leaky1")


def test_pictures() -> None:
    x = torch.tensor([-1.0, 0.0, 3.0])
    torch.testing.assert_close(picture(x.clone(), "tanh"), torch.tensor([(math.tanh(v) + 1) / 2 for v in x.tolist()]))
    torch.testing.assert_close(
        picture(x.clone(), "sigmoid"), torch.tensor([1 / (1 + math.exp(-v)) for v in x.tolist()])
    )
    torch.testing.assert_close(picture(x.clone(), 0.25), torch.tensor([-0.75, 0.25, 3.25]))
