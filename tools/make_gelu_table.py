"""Write nervplay/decode/native/gelu_table.h: the polynomials by which the AVX-512 and AVX2 kernels compute GELU.

gelu(x) = max(x, 0) + h(|x|) with h(a) = -a erfc(a / sqrt 2) / 2. On each of 32 equal pieces of [0, 5.5] the table has
the least-squares cubic at Chebyshev points; it is within 4.5e-7 of h, and h(5.5) is 1e-7. A second table has parabolas
on as many pieces as a register has numbers: it is within 1.6e-4, for results that come out of 16-bit products anyway.
Pieces lie around whole numbers of their width, so that rounding finds them; the first is half a piece. AVX2, whose
registers have eight numbers, has as many pieces and higher powers: within 4.5e-7 and 5e-5.

    python tools/make_gelu_table.py
"""

from math import erfc, sqrt
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.polynomial import Chebyshev, Polynomial
from numpy.typing import NDArray

__all__ = ["Table", "table", "text"]

TARGET = Path(__file__).resolve().parent.parent / "nervplay" / "decode" / "native" / "gelu_table.h"
POINTS = 64


class Table(NamedTuple):
    """What a table approximates.

    Args:
        end: where the last piece ends.
        pieces: number of equal pieces, but for the first of centred ones, which is a half.
        degree: of the polynomials.
        centred: whether pieces lie around whole numbers of their width; else they begin there.
    """

    end: float
    pieces: int
    degree: int
    centred: bool

    @property
    def width(self) -> float:
        """Width of a piece; at the end of centred ones there is a hundredth of a piece to spare for rounding."""
        return self.end / (self.pieces - (0.51 if self.centred else 0.0))


TABLES = {
    "GELU": Table(5.5, 32, 3, True),
    "ROUGH": Table(4.8, 16, 2, True),
    "GELU8": Table(5.5, 8, 5, True),
    "ROUGH8": Table(4.8, 8, 3, True),
}


def table(which: Table) -> NDArray[np.float32]:
    """Return the coefficients, float32 (degree + 1, pieces): powers of the place within a piece.

    Args:
        which: what to approximate; places go from 0 to 1, or from -1/2 to 1/2 where pieces are centred.
    """
    low, high = (-0.5, 0.5) if which.centred else (0.0, 1.0)
    columns = []
    for piece in range(which.pieces):
        first = max(low, -piece)  # h has a bend at 0
        nodes = first + (high - first) * (0.5 - 0.5 * np.cos((np.arange(POINTS) + 0.5) * np.pi / POINTS))
        values = np.array([-a * 0.5 * erfc(a / sqrt(2)) for a in (piece + nodes) * which.width])
        fitted = Chebyshev.fit(nodes, values, which.degree, domain=[first, high]).convert(kind=Polynomial)
        columns.append(np.pad(fitted.coef, (0, which.degree + 1 - len(fitted.coef))))
    return np.array(columns, np.float32).T.copy()


def text() -> str:
    """Return the header."""
    lines = [
        "/* Made by tools/make_gelu_table.py, which says what it is; do not edit. */",
        "#ifndef NK_GELU_TABLE_H",
        "#define NK_GELU_TABLE_H",
        "",
    ]
    for name, which in TABLES.items():
        lines += [f"#define {name}_END {which.end}f", f"#define {name}_PIECES {which.pieces}"]
        lines += [f"#define {name}_WIDTH {which.width:.9g}f", ""]
        lines.append(f"static const float {name}[{which.degree + 1}][{which.pieces}] = {{")
        for row in table(which):
            values = [f"{value:.9g}" for value in row]
            values = [f"{value if set(value) & set('.e') else value + '.0'}f" for value in values]
            lines.append("    {")
            lines += [f"        {', '.join(values[i : i + 6])}," for i in range(0, which.pieces, 6)]
            lines.append("    },")
        lines += ["};", ""]
    return "\n".join([*lines, "#endif", ""])


if __name__ == "__main__":
    TARGET.write_text(text(), encoding="utf-8")
