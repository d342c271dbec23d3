import torch
from torch import Tensor

from nervplay.blocks.flow import aggregate, warp


def by_hand(frame: Tensor, dx: float, dy: float) -> Tensor:
    """A frame (H, W) under a uniform flow: corner to corner going out, edge to edge coming back, borders repeated."""
    H, W = frame.shape
    out = torch.empty(H, W)
    for row in range(H):
        for column in range(W):
            y = ((row + dy) / ((H - 1) / 2) * H - 1) / 2
            x = ((column + dx) / ((W - 1) / 2) * W - 1) / 2
            y, x = min(max(y, 0.0), H - 1.0), min(max(x, 0.0), W - 1.0)
            top, left = min(int(y), H - 2), min(int(x), W - 2)
            v, u = y - top, x - left
            upper = (1 - u) * frame[top, left] + u * frame[top, left + 1]
            lower = (1 - u) * frame[top + 1, left] + u * frame[top + 1, left + 1]
            out[row, column] = (1 - v) * upper + v * lower
    return out


def uniform(dx: float, dy: float) -> Tensor:
    return torch.tensor([dx, dy]).view(1, 2, 1, 1).expand(1, 2, 2, 3)


def test_a_uniform_flow_by_hand() -> None:
    """Flows count in their own pixels: at a quarter of the size, 0.5 means 2."""
    torch.manual_seed(0)
    frame = torch.rand(1, 1, 8, 12)
    for dx, dy in ((0.0, 0.0), (0.5, 0.0), (0.0, 0.25), (-0.5, 0.75)):
        out = warp(frame, uniform(dx, dy))
        torch.testing.assert_close(out[0, 0], by_hand(frame[0, 0], 4 * dx, 4 * dy), atol=1e-5, rtol=0)


def test_flows_differ_per_frame_and_are_enlarged_bilinearly() -> None:
    frames = torch.rand(2, 3, 8, 12)
    flow = torch.cat([uniform(0.5, 0.0), uniform(0.0, -0.5)])
    out = warp(frames, flow)
    for k in range(2):
        torch.testing.assert_close(out[k : k + 1], warp(frames[k : k + 1], flow[k : k + 1]))
    ramp = torch.arange(12.0).expand(1, 1, 8, 12)
    step = torch.tensor([0.0, 0.0, 1.0]).expand(1, 1, 2, 3)
    shift = warp(ramp, torch.cat([step, torch.zeros_like(step)], 1)) - warp(ramp, torch.zeros(1, 2, 2, 3))
    assert shift[0, 0, 4, 3].abs() < 1e-4
    assert 0.2 < shift[0, 0, 4, 6] < 1.2, "between two flows there is a flow between them"


def test_the_aggregate_is_a_weighted_sum() -> None:
    torch.manual_seed(0)
    neighbours, flow = torch.rand(2, 3, 3, 8, 12), torch.randn(2, 6, 2, 3) / 4
    weights = torch.randn(2, 3, 2, 3)
    out = aggregate(neighbours, flow, weights)
    share = torch.exp(weights) / torch.exp(weights).sum(1, keepdim=True)
    for b in range(2):
        expected = torch.zeros(3, 8, 12)
        for k in range(3):
            moved = warp(neighbours[b, k : k + 1], flow[b : b + 1, 2 * k : 2 * k + 2])[0]
            expected += moved * share[b, k].repeat_interleave(4, 0).repeat_interleave(4, 1)
        torch.testing.assert_close(out[b], expected, atol=1e-5, rtol=0)


def test_one_neighbour_of_one_colour_stays() -> None:
    grey = torch.full((1, 1, 3, 8, 12), 0.25)
    torch.testing.assert_close(aggregate(grey, torch.randn(1, 2, 2, 3), torch.randn(1, 1, 2, 3)), grey[:, 0])
