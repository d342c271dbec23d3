"""Official names of the parts that SNeRV-B and SNeRV-T share, to ours.

In the official code all parts of a decoder are one numbered list: stem, stages, (temporal stem,) three restorers, and
the four parts of the fusion. Where the restorers begin follows from the names: only they have a `conv1` of their own.
"""

import re
from collections.abc import Iterable

from nervplay.models.renaming import Rule

__all__ = ["spectral_rules"]


def spectral_rules(names: Iterable[str]) -> tuple[Rule, ...]:
    """Return the rules for stem, restorers, fusion and head.

    Args:
        names: all official tensor names of the network.
    """
    numbers = [int(match[1]) for name in names if (match := re.match(r"decoder\.(\d+)\.conv1\.", name))]
    first = min(numbers, default=0)
    restorers = tuple(
        (rf"decoder\.{first + k}\.{theirs}\.(weight|bias)", rf"spectrum.restorer.{band}.{ours}.\1")
        for k, band in enumerate(("lh", "hl", "hh"))
        for theirs, ours in (("conv1", "mix"), ("conv2", "restore"))
    )
    ups = tuple(
        (rf"decoder\.{first + k}\.(weight|bias)", rf"spectrum.fusion.{ours}.\1")
        for k, ours in ((3, "up_coarse"), (5, "up_middle"))
    )
    joins = tuple(
        (rf"decoder\.{first + k}\.main\.{theirs}", rf"spectrum.fusion.{ours}.{part}")
        for k, ours in ((4, "join_middle"), (6, "join_fine"))
        for theirs, part in ((r"0\.(weight|bias)", r"enter.\1"), (r"1\.(\d+\.conv[12]\.(?:weight|bias))", r"blocks.\1"))
    )
    return (
        (r"decoder\.0\.conv\.downconv\.(weight|bias)", r"stem.conv.\1"),
        (r"decoder\.0\.norm\.(\w+)", r"stem.norm.\1"),
        (r"head_layer\.(weight|bias)", r"spectrum.head.\1"),
        *restorers,
        *ups,
        *joins,
    )
