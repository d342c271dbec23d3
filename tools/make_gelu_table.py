"""Write nervplay/decode/native/gelu_table.h: the cubics by which the AVX-512 kernels compute GELU.

gelu(x) = max(x, 0) + h(|x|) with h(a) = -a erfc(a / sqrt 2) / 2. On each of `PIECES` equal pieces of [0, END] the table
has the least-squares cubic at Chebyshev points; it is within 4.5e-7 of h, and h(END) is 1e-7.

    python tools/make_gelu_table.py
"""

from math import erfc, sqrt
from pathlib import Path

import numpy as np
from numpy.polynomial import Chebyshev, Polynomial
from numpy.typing import NDArray

__all__ = ["table", "text"]

TARGET = Path(__file__).resolve().parent.parent / "nervplay" / "decode" / "native" / "gelu_table.h"
END, PIECES, POINTS = 5.5, 32, 64


def table() -> NDArray[np.float32]:
    """Return the coefficients, float32 (4, PIECES): powers of the place within a piece, 0 .. 1."""
    width = END / PIECES
    nodes = 0.5 - 0.5 * np.cos((np.arange(POINTS) + 0.5) * np.pi / POINTS)
    columns = []
    for piece in range(PIECES):
        places = (piece + nodes) * width
        values = np.array([-a * 0.5 * erfc(a / sqrt(2)) for a in places])
        fitted = Chebyshev.fit(nodes, values, 3, domain=[0, 1]).convert(kind=Polynomial)
        columns.append(np.pad(fitted.coef, (0, 4 - len(fitted.coef))))
    return np.array(columns, np.float32).T.copy()


def text() -> str:
    """Return the header."""
    lines = [
        "/* Made by tools/make_gelu_table.py, which says what it is; do not edit. */",
        "#ifndef NK_GELU_TABLE_H",
        "#define NK_GELU_TABLE_H",
        "",
        f"#define GELU_END {END}f",
        f"#define GELU_PIECES {PIECES}",
        "",
        f"static const float GELU[4][{PIECES}] = {{",
    ]
    for row in table():
        values = [f"{value:.9g}" for value in row]
        values = [f"{value if set(value) & set('.e') else value + '.0'}f" for value in values]
        lines.append("    {")
        lines += [f"        {', '.join(values[i : i + 6])}," for i in range(0, PIECES, 6)]
        lines.append("    },")
    return "\n".join([*lines, "};", "", "#endif", ""])


if __name__ == "__main__":
    TARGET.write_text(text(), encoding="utf-8")
