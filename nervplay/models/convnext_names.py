"""Official names of the ConvNeXt encoder, which every HNeRV-like code has, to ours."""

from nervplay.models.renaming import Rule

__all__ = ["convnext_rules"]


def convnext_rules(theirs: str, ours: str) -> tuple[Rule, ...]:
    r"""Return the rules for one encoder.

    Args:
        theirs: its official name as a pattern without groups, such as r"encoder\.0".
        ours: its name in our network, such as "encoder".
    """
    down, stages = rf"{theirs}\.downsample_layers\.", rf"{theirs}\.(stages\.\d+\.\d+)\."
    return (
        # The first stage convolves, then normalises; later ones the other way round.
        (rf"{down}0\.0\.(\w+)", rf"{ours}.downsample.0.conv.\1"),
        (rf"{down}0\.1\.(\w+)", rf"{ours}.downsample.0.norm.\1"),
        (rf"{down}(\d+)\.0\.(\w+)", rf"{ours}.downsample.\1.norm.\2"),
        (rf"{down}(\d+)\.1\.(\w+)", rf"{ours}.downsample.\1.conv.\2"),
        (rf"{stages}gamma", rf"{ours}.\1.scale"),
        (rf"{stages}dwconv\.(\w+)", rf"{ours}.\1.depthwise.\2"),
        (rf"{stages}pwconv1\.(\w+)", rf"{ours}.\1.expand.\2"),
        (rf"{stages}pwconv2\.(\w+)", rf"{ours}.\1.project.\2"),
        (rf"{stages}(norm\.\w+)", rf"{ours}.\1.\2"),
    )
