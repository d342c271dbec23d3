from nervplay.models.convnext_names import convnext_rules
from nervplay.models.renaming import rename


def test_the_first_stage_convolves_first() -> None:
    names = {
        "enc.0.downsample_layers.0.0.weight": "code.downsample.0.conv.weight",
        "enc.0.downsample_layers.0.1.bias": "code.downsample.0.norm.bias",
        "enc.0.downsample_layers.3.0.weight": "code.downsample.3.norm.weight",
        "enc.0.downsample_layers.3.1.bias": "code.downsample.3.conv.bias",
        "enc.0.stages.2.1.gamma": "code.stages.2.1.scale",
        "enc.0.stages.2.1.dwconv.bias": "code.stages.2.1.depthwise.bias",
        "enc.0.stages.2.1.norm.weight": "code.stages.2.1.norm.weight",
        "enc.0.stages.2.1.pwconv1.weight": "code.stages.2.1.expand.weight",
        "enc.0.stages.2.1.pwconv2.weight": "code.stages.2.1.project.weight",
    }
    assert rename(names, convnext_rules(r"enc\.0", "code")) == {ours: ours for ours in names.values()}
