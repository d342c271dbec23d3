"""Write nervplay/decode/native/gelu_table.h: the cubics by which the AVX-512 kernels compute GELU.

gelu(x) = max(x, 0) + h(|x|) with h(a) = -a erfc(a / sqrt 2) / 2. On each of 32 equal pieces of [0, 5.5] the table has
the least-squares cubic at Chebyshev points; it is within 4.5e-7 of h, and h(5.5) is 1e-7. A second table has as many
pieces as a register has numbers: it is within 4.1e-6, for results that come out of 16-bit products anyway.

    python tools/make_gelu_table.py
"""

from math import erfc, sqrt
from pathlib import Path

import numpy as np
from numpy.polynomial import Chebyshev, Polynomial
from numpy.typing import NDArray

__all__ = ["table", "text"]

TARGET = Path(__file__).resolve().parent.parent / "nervplay" / "decode" / "native" / "gelu_table.h"
TABLES = {"GELU": (5.5, 32), "ROUGH": (4.8, 16)}
"""End and pieces of each table."""
POINTS = 64


def table(end: float, pieces: int) -> NDArray[np.float32]:
    """Return the coefficients, float32 (4, pieces): powers of the place within a piece, 0 .. 1.

    Args:
        end: where the last piece ends.
        pieces: number of equal pieces from 0 on.
    """
    width = end / pieces
    nodes = 0.5 - 0.5 * np.cos((np.arange(POINTS) + 0.5) * np.pi / POINTS)
    columns = []
    for piece in range(pieces):
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
    ]
    for name, (end, pieces) in TABLES.items():
        lines += [f"#define {name}_END {end}f", f"#define {name}_PIECES {pieces}", ""]
        lines.append(f"static const float {name}[4][{pieces}] = {{")
        for row in table(end, pieces):
            values = [f"{value:.9g}" for value in row]
            values = [f"{value if set(value) & set('.e') else value + '.0'}f" for value in values]
            lines.append("    {")
            lines += [f"        {', '.join(values[i : i + 6])}," for i in range(0, pieces, 6)]
            lines.append("    },")
        lines += ["};", ""]
    return "\n".join([*lines, "#endif", ""])


if __name__ == "__main__":
    TARGET.write_text(text(), encoding="utf-8")
