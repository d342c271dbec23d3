"""One Triton kernel: a convolution as a matrix product on tensor cores, with all that follows up to the next one.

    map (B, H, W, Cp) -> [gather taps] -> [x weights] -> [unit, bias, activation] -> [pixel shuffle, requantise] -> map

Implicit GEMM: rows are output pixels, columns output channels in the order (i, j, c) of the pixel shuffle, so that
what lies together in a row is stored together. The inner dimension runs over (tap, channel), both operands contiguous
in it. Maps have their borders in memory: what a row of the kernel reads for a pixel lies side by side, and blocks of
the inner dimension begin anywhere in it. So 8 or 16 bytes are copied from the map to shared memory at a time, untested.
Channels are padded to 16, those that are stored as well: 16 bytes are stored at a time. Each tap of a kernel reads most
pixels again; 128 outputs of 128 pixels would need more than the second-level cache gives, so the first takes its part.

Integers: int8 times int8, summed in int32. A map's element q stands for q - zero steps, what a step of its channel is
worth being part of the weights; the borders are `zero`, and `offset` = -zero * (sum of an output's weights) makes up
for it, exactly. Floats: sums in float32.

Importing this module imports Triton. With TRITON_INTERPRET=1 set before that, kernels run on tensors of the CPU.
"""

import triton
import triton.language as tl

__all__ = ["conv_kernel"]


@triton.jit
def _gelu_tail(u):
    """Return u * (1 - Phi(u)), by which GELU is less than max(y, 0) at u = |y|, of float32 values within 1e-6.

    It is u * 2^-r(u) with a polynomial r, fitted for the least largest error: a third of the work of an erf.
    """
    r = 0.00047330945 * u - 0.0070845582
    r = r * u + 0.051827386
    r = r * u + 0.45999244
    r = r * u + 1.1507878
    r = r * u + 1.0000377
    return u * tl.exp2(-r)


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
        y = tl.maximum(y, 0.0) - _gelu_tail(tl.abs(y))
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
    y, target, batch, row, column, kept, n, stride_batch, stride_row, stride_column, stride_channel,
    STORED: tl.constexpr, SHUFFLE: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """Store a block behind the pixel shuffle; arguments as in `conv_kernel`, which calls it."""
    square, channel = n // STORED, n % STORED
    to_row = row[:, None] * SHUFFLE + (square // SHUFFLE)[None, :]
    to_column = column[:, None] * SHUFFLE + (square % SHUFFLE)[None, :]
    if WIDE:
        channel = channel.to(tl.int64)  # the others are already
    to = batch * stride_batch + to_row * stride_row + to_column * stride_column
    to += channel[None, :] * stride_channel
    kept = kept[:, None] & (n < STORED * SHUFFLE * SHUFFLE)[None, :]
    tl.store(target + to, y.to(target.dtype.element_ty), mask=kept)


@triton.jit
def conv_kernel(
    source,
    weight,
    scale,
    offset,
    shift,
    target,
    height,
    width,
    source_batch,
    source_row,
    depth,
    slope,
    per_step,
    next_zero,
    stride_batch,
    stride_row,
    stride_column,
    stride_channel,
    CHANNELS: tl.constexpr,
    LINE: tl.constexpr,
    INNER: tl.constexpr,
    STORED: tl.constexpr,
    SHUFFLE: tl.constexpr,
    ACTIVATION: tl.constexpr,
    INTEGER: tl.constexpr,
    REQUANTISE: tl.constexpr,
    WIDE: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
    BLOCKS_N: tl.constexpr,
    ACROSS: tl.constexpr,
    CACHED: tl.constexpr,
):
    """Compute one block of output pixels, a rectangle of them, and channels.

    Args:
        source: int8 or float (B, H, W, CHANNELS), contiguous, with its borders.
        weight: of the same type, (BLOCKS_N * BLOCK_N, depth), zeros where it is padded.
        scale: float32 (padded outputs,), what one unit of a sum is worth; read for integers only.
        offset: int32 (padded outputs,), see the head of this module; likewise.
        shift: float32 (padded outputs,), the bias.
        target: int8 or float, with the strides below.
        height, width: H', W' before the pixel shuffle.
        source_batch, source_row: H * W * CHANNELS and W * CHANNELS.
        depth: INNER padded to BLOCK_K; no constant, as a loop that is unrolled takes registers from a second block.
        slope: of "leaky".
        per_step: float32 (padded outputs,), 1 / unit of the int8 values that are stored; read for these only.
        next_zero: the one of them that stands for 0.
        stride_batch, stride_row, stride_column, stride_channel: of `target`, in elements.
        CHANNELS: Cp, channels of the source with padding.
        LINE: columns of the kernel * Cp: so many elements lie side by side.
        INNER: rows of the kernel * LINE.
        STORED: channels of the target that are written, padding among them.
        SHUFFLE: factor of the pixel shuffle.
        ACTIVATION: a name of `_activated`.
        INTEGER: whether products are of integers.
        REQUANTISE: whether int8 values are stored.
        WIDE: whether a map has 2^31 elements or more.
        BLOCK_M, BLOCK_N, BLOCK_K: pixels, outputs and inner elements of a block.
        BLOCKS_N: blocks of outputs.
        ACROSS: pixels in a row of a block.
        CACHED: whether the map is copied through the first-level cache; only where a block has a pipeline.
    """
    # Blocks that read the same pixels run side by side and share them through the cache.
    block, part = tl.program_id(0) // BLOCKS_N, tl.program_id(0) % BLOCKS_N
    across, down = tl.cdiv(width, ACROSS), tl.cdiv(height, BLOCK_M // ACROSS)
    m, inner = tl.arange(0, BLOCK_M), tl.arange(0, BLOCK_K)
    n = part * BLOCK_N + tl.arange(0, BLOCK_N)
    batch = block // (across * down)
    row = block // across % down * (BLOCK_M // ACROSS) + m // ACROSS
    column = block % across * ACROSS + m % ACROSS
    if WIDE:
        batch, row, column = batch.to(tl.int64), row.to(tl.int64), column.to(tl.int64)
    # Pixels beyond the map read others, and are not stored.
    first = batch * source_batch + tl.minimum(row, height - 1) * source_row
    first += tl.minimum(column, width - 1) * CHANNELS
    if INTEGER:
        total = tl.broadcast_to(tl.load(offset + n)[None, :], (BLOCK_M, BLOCK_N))
    else:
        total = tl.full((BLOCK_M, BLOCK_N), 0.0, tl.float32)
    for start in range(0, depth, BLOCK_K):
        k = start + inner
        place = k + k // LINE * (source_row - LINE)
        if CACHED:  # 16 bytes pass by the first-level cache, 8 do not
            place = tl.multiple_of(place, 8 if INTEGER else 4)
        if INNER % BLOCK_K == 0:
            a = tl.load(source + (first[:, None] + place[None, :]))
        else:
            a = tl.load(source + (first[:, None] + place[None, :]), mask=(k < INNER)[None, :], other=0)
        b = tl.load(weight + (n[None, :] * depth + k[:, None]))
        if INTEGER:
            total = tl.dot(a, b, total, out_dtype=tl.int32)
        else:
            total = tl.dot(a, b, total, input_precision="ieee")
    y = total.to(tl.float32)
    if INTEGER:
        y = y * tl.load(scale + n)[None, :]
    y = _activated(y + tl.load(shift + n)[None, :], slope, ACTIVATION)
    if REQUANTISE:
        y = y * tl.load(per_step + n)[None, :] + next_zero
        # Added to 1.5 * 2^23, a value is rounded to an integer (halves to even), and that is what the lowest bits are.
        y = (tl.minimum(tl.maximum(y, -128.0), 127.0) + 12582912.0).to(tl.int32, bitcast=True)
    _store(
        y, target, batch, row, column, (row < height) & (column < width), n,
        stride_batch, stride_row, stride_column, stride_channel, STORED, SHUFFLE, WIDE,
    )  # fmt: skip
