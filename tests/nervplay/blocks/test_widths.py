import pytest
from hypothesis import given
from hypothesis import strategies as st

from nervplay.blocks.widths import Stage, decoder_stages, nearest_width, solve_channels


def test_the_papers_channels_and_kernels() -> None:
    stages = decoder_stages(68, (5, 4, 4, 2, 2), reduction=1.2, lower_width=12, kernel_min=1, kernel_max=5)
    assert [stage.channels_out for stage in stages] == [57, 48, 40, 33, 28]
    assert [stage.kernel for stage in stages] == [1, 3, 5, 5, 5]
    assert stages[1] == Stage(57, 48, 3, 4)


def test_widths_round_half_to_even_and_stop_at_the_lower_width() -> None:
    stages = decoder_stages(185, (2, 2, 4), reduction=2.0, lower_width=60, kernel_min=3, kernel_max=3)
    assert [stage.channels_out for stage in stages] == [92, 60, 60]
    roots = decoder_stages(60, (4, 9), reduction=None, lower_width=12, kernel_min=1, kernel_max=1)
    assert [stage.channels_out for stage in roots] == [30, 12]


@pytest.mark.parametrize(("million", "channels"), [(0.35, 32), (0.75, 48), (1.5, 68), (3.0, 97)])
def test_channels_of_the_papers_sizes(million: float, channels: int) -> None:
    found = solve_channels(
        million * 1e6 - 16 * 8 * 132,
        (5, 4, 4, 2, 2),
        embedding_channels=16,
        stem_area=9,
        reduction=1.2,
        lower_width=12,
        kernel_min=1,
        kernel_max=5,
    )
    assert found == channels


def test_channels_of_time_input() -> None:
    look = {"reduction": 2.0, "lower_width": 12, "kernel_min": 3, "kernel_max": 3}
    assert solve_channels(1.5e6, (5, 4, 2, 2), embedding_channels=160, stem_area=128, **look) == 54


def test_saturated_stages_take_their_share() -> None:
    look = {
        "embedding_channels": 16,
        "stem_area": 9,
        "reduction": 1.2,
        "lower_width": 12,
        "kernel_min": 1,
        "kernel_max": 5,
    }
    free = solve_channels(1e6, (5, 2, 2), **look)
    # Without the last stage the quadratic loses its term and gains a constant 12**2 * 2**2 * 5**2.
    a = sum((1 / 1.2) ** (2 * i + 1) * (s * k) ** 2 for i, (s, k) in enumerate(((5, 1), (2, 3))))
    saturated = solve_channels(1e6, (5, 2, 2), saturate_stages=2, **look)
    assert saturated > free
    assert (
        a * saturated**2 + 144 * saturated + 14_400 <= 1e6 < a * (saturated + 1) ** 2 + 144 * (saturated + 1) + 14_400
    )


def test_no_width_for_a_size_below_nothing() -> None:
    assert (
        solve_channels(
            -5, (2,), embedding_channels=1, stem_area=9, reduction=1, lower_width=1, kernel_min=1, kernel_max=1
        )
        <= 0
    )


def test_of_two_widths_that_are_equally_near_the_smaller_one_is_taken() -> None:
    assert nearest_width(lambda width: 2 * width, 5, largest=9) == 2
    assert nearest_width(lambda width: 2 * width, 99, largest=9) == 9


@given(st.integers(1, 50), st.integers(0, 50), st.integers(0, 20_000))
def test_the_nearest_width_is_the_nearest(a: int, b: int, size: int) -> None:
    def count(width: int) -> int:
        return a * width * width + b

    best = nearest_width(count, size, largest=40)
    assert best == min(range(1, 41), key=lambda width: (abs(count(width) - size), width))
