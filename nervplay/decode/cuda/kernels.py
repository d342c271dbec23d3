"""One Triton kernel: a convolution as a matrix product on tensor cores, with all that follows up to the next one.

    map (B, H, W, Cp) -> [gather taps] -> [x weights] -> [unit, bias, activation] -> [pixel shuffle, requantise] -> map

Implicit GEMM: rows are output pixels, columns output channels in the order (i, j, c) of the pixel shuffle, so that
what lies together in a row is stored together. The inner dimension runs over (tap, channel), both operands contiguous
in it; channels are padded to 16, not to a whole block, as blocks may span taps. Where blocks divide Cp, one block is
one tap, and the borders are tested once per pixel instead of once per element.

Integers: int8 times int8, summed in int32. A map's element q stands for q - zero steps, what a step of its channel is
worth being part of the weights; pixels outside the map read as `zero`, and `offset` = -zero * (sum of an output's
weights) makes up for it, exactly. Floats: sums in float32.

Importing this module imports Triton. With TRITON_INTERPRET=1 set before that, kernels run on tensors of the CPU.
"""

import triton
import triton.language as tl

__all__ = ["conv_kernel"]


@triton.jit
def _activated(y, slope, NAME: tl.constexpr):
    """Return an activation of float32 values; names as in `nervplay.decode.native.library.ACTIVATIONS`."""
    if NAME == "relu":
        y = tl.maximum(y, 0.0)
    elif NAME == "leaky":
        y = tl.where(y >= 0.0, y, y * slope)
    elif NAME == "relu6":
        y = tl.minimum(tl.maximum(y, 0.0), 6.0)
    elif NAME == "gelu":
        y = 0.5 * y * (1.0 + tl.erf(y * 0.7071067811865476))
    elif NAME == "silu":
        y = y / (1.0 + tl.exp(-y))
    elif NAME == "softplus":
        y = tl.maximum(y, 0.0) + tl.log(1.0 + tl.exp(-tl.abs(y)))
    elif NAME == "hardswish":
        y = y * tl.minimum(tl.maximum(y + 3.0, 0.0), 6.0) / 6.0
    elif NAME == "sin":
        y = tl.sin(y)
    elif NAME == "sigmoid":
        y = 1.0 / (1.0 + tl.exp(-y))
    elif NAME == "tanh":
        y = 2.0 / (1.0 + tl.exp(-2.0 * y)) - 1.0
    elif NAME == "half_tanh":
        y = 1.0 / (1.0 + tl.exp(-2.0 * y))
    return y


@triton.jit
def _store(
    y, target, batch, row, column, there, n, stride_batch, stride_row, stride_column, stride_channel,
    OUTPUTS: tl.constexpr, SHUFFLE: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """Store a block behind the pixel shuffle; arguments as in `conv_kernel`, which calls it."""
    square, channel = n // OUTPUTS, n % OUTPUTS
    to_row = row[:, None] * SHUFFLE + (square // SHUFFLE)[None, :]
    to_column = column[:, None] * SHUFFLE + (square % SHUFFLE)[None, :]
    if WIDE:
        batch, to_row, to_column = batch.to(tl.int64), to_row.to(tl.int64), to_column.to(tl.int64)
        channel = channel.to(tl.int64)
    to = batch[:, None] * stride_batch + to_row * stride_row + to_column * stride_column
    to += channel[None, :] * stride_channel
    kept = there[:, None] & (n < OUTPUTS * SHUFFLE * SHUFFLE)[None, :]
    tl.store(target + to, y.to(target.dtype.element_ty), mask=kept)


# A `zero` of 1 would be made a constant of the program, which has no `to`.
@triton.jit(do_not_specialize=["zero"])
def conv_kernel(
    source,
    weight,
    scale,
    offset,
    shift,
    target,
    pixels,
    height,
    width,
    out_height,
    out_width,
    top,
    left,
    zero,
    slope,
    per_step,
    next_zero,
    stride_batch,
    stride_row,
    stride_column,
    stride_channel,
    CHANNELS: tl.constexpr,
    COLUMNS: tl.constexpr,
    INNER: tl.constexpr,
    INNER_PADDED: tl.constexpr,
    OUTPUTS: tl.constexpr,
    SHUFFLE: tl.constexpr,
    ACTIVATION: tl.constexpr,
    INTEGER: tl.constexpr,
    REQUANTISE: tl.constexpr,
    WIDE: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
    BLOCKS_N: tl.constexpr,
):
    """Compute one block of output pixels and channels.

    Args:
        source: int8 or float (B, H, W, CHANNELS), contiguous.
        weight: of the same type, (at least BLOCKS_N * BLOCK_N, INNER_PADDED), zeros where it is padded.
        scale: float32 (padded outputs,), what one unit of a sum is worth; read for integers only.
        offset: int32 (padded outputs,), see the head of this module; likewise.
        shift: float32 (padded outputs,), the bias.
        target: int8 or float, with the strides below.
        pixels: B * H' * W', H' and W' before the pixel shuffle.
        height, width, out_height, out_width: H, W, H', W'.
        top, left: zeros above and to the left.
        zero: value of `source` that stands for 0.
        slope: of "leaky".
        per_step: float32 (padded outputs,), 1 / unit of the int8 values that are stored; read for these only.
        next_zero: the one of them that stands for 0.
        stride_batch, stride_row, stride_column, stride_channel: of `target`, in elements.
        CHANNELS: Cp, channels of the source with padding.
        COLUMNS: taps in a row of the kernel.
        INNER: taps * Cp.
        INNER_PADDED: the same padded to BLOCK_K.
        OUTPUTS: output channels behind the pixel shuffle.
        SHUFFLE: its factor.
        ACTIVATION: a name of `_activated`.
        INTEGER: whether products are of integers.
        REQUANTISE: whether int8 values are stored.
        WIDE: whether a map has 2^31 elements or more.
        BLOCK_M, BLOCK_N, BLOCK_K: pixels, outputs and inner elements of a block.
        BLOCKS_N: blocks of outputs.
    """
    # Blocks that read the same pixels run side by side and share them through the cache.
    block = tl.program_id(0)
    m = (block // BLOCKS_N) * BLOCK_M + tl.arange(0, BLOCK_M)
    n = (block % BLOCKS_N) * BLOCK_N + tl.arange(0, BLOCK_N)
    inner = tl.arange(0, BLOCK_K)
    there = m < pixels
    column, row, batch = m % out_width, (m // out_width) % out_height, m // (out_width * out_height)
    first_row, first_column = row - top, column - left
    first = (batch * height + first_row) * width + first_column
    if WIDE:
        first = first.to(tl.int64)
    first *= CHANNELS
    if INTEGER:
        total = tl.broadcast_to(tl.load(offset + n)[None, :], (BLOCK_M, BLOCK_N))
    else:
        total = tl.full((BLOCK_M, BLOCK_N), 0.0, tl.float32)
    outside = zero.to(source.dtype.element_ty)
    for start in range(0, INNER_PADDED, BLOCK_K):
        if CHANNELS % BLOCK_K == 0:
            tap = start // CHANNELS
            down, across = tap // COLUMNS, tap % COLUMNS
            y, x = first_row + down, first_column + across
            inside = (there & (y >= 0) & (y < height) & (x >= 0) & (x < width))[:, None]
            place = (down * width + across) * CHANNELS + start % CHANNELS + inner
        else:
            k = start + inner
            tap = k // CHANNELS
            down, across = tap // COLUMNS, tap % COLUMNS
            y, x = first_row[:, None] + down[None, :], first_column[:, None] + across[None, :]
            inside = there[:, None] & (k < INNER)[None, :] & (y >= 0) & (y < height) & (x >= 0) & (x < width)
            place = (down * width + across) * CHANNELS + k % CHANNELS
        a = tl.load(source + (first[:, None] + place[None, :]), mask=inside, other=outside)
        b = tl.load(weight + (n[None, :] * INNER_PADDED + (start + inner)[:, None]))
        if INTEGER:
            total = tl.dot(a, b, total, out_dtype=tl.int32)
        else:
            total = tl.dot(a, b, total, input_precision="ieee")
    y = total.to(tl.float32)
    if INTEGER:
        y = y * tl.load(scale + n)[None, :]
    y = _activated(y + tl.load(shift + n)[None, :], slope, ACTIVATION)
    if REQUANTISE:
        y = tl.minimum(tl.maximum(tl.floor(y * tl.load(per_step + n)[None, :] + next_zero + 0.5), -128.0), 127.0)
    _store(
        y, target, batch, row, column, there, n, stride_batch, stride_row, stride_column, stride_channel,
        OUTPUTS, SHUFFLE, WIDE,
    )  # fmt: skip
