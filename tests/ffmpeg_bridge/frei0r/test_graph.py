"""Names of any kind through three levels of quoting, in the real ffmpeg; and what the graphs say."""

import subprocess
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ffmpeg_bridge.frei0r import compare_graph, source_graph
from ffmpeg_bridge.frei0r.graph import parameters
from nervplay.errors import UsageError
from nervplay.video import Colour, VideoSpec

SPEC = VideoSpec(width=128, height=72, frame_count=60, rate=Fraction(30000, 1001))
NASTY = "ab :|'\\,;[]=%@\"$`&#!?*~ü日(){}<>+-\t\n"


@given(name=st.text(NASTY, min_size=1, max_size=14))
@example(name="it's|x:y,z;[k]=\\ü.nerv")
@example(name=" lead and trail ")
@example(name="C:\\x y.nerv")
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_names_arrive_as_they_are(plugins, host, name):
    """The plug-in says the name that it was given: there is no such file."""
    name = f"/none/{name}/x"
    done = host(
        "ffmpeg",
        "-v",
        "quiet",
        "-f",
        "lavfi",
        "-i",
        f"frei0r_src=filter_name=nerv:filter_params={parameters('unix:/none!' + name, 'x')}",
        "-f",
        "null",
        "-",
    )
    assert b"No such file or directory" in done.stderr
    filter_text = (
        f"[in]setparams=field_mode=prog,metadata=add:key=k:value={parameters(name)},metadata=print:file=-[out]"
    )
    printed = subprocess.run(
        [
            "ffmpeg",
            "-v",
            "error",
            "-f",
            "lavfi",
            "-i",
            "color=s=16x16",
            "-vf",
            filter_text,
            "-frames:v",
            "1",
            "-f",
            "null",
            "-",
        ],
        capture_output=True,
        check=True,
    ).stdout.decode()
    inner = (
        name.replace("\\", "\\\\").replace("'", "\\'").replace("|", "\\|")
    )  # level 1 is the plug-in's, not metadata's
    assert f"k={inner}\n" in printed


def test_what_graphs_say():
    graph = source_graph(SPEC, "a.nerv")
    assert graph.startswith("frei0r_src=size=128x72:framerate=30000/1001:filter_name=nerv:filter_params=a.nerv|strict,")
    assert "trim=end_frame=60" in graph
    assert graph.endswith(
        "scale=out_color_matrix=bt709:out_range=tv,format=yuv420p,"
        "setparams=range=tv:colorspace=bt709:color_primaries=bt709:color_trc=bt709"
    )
    assert "size=64x35:" in source_graph(SPEC, "a", size=(64, 35))
    assert "format=yuv444p" in source_graph(SPEC, "a", size=(64, 35))
    wide = replace(SPEC, colour=Colour(matrix="bt2020nc", primaries="bt2020", transfer="bt2020-10"))
    assert "scale=out_color_matrix=bt2020:" in source_graph(wide, "a")
    assert "colorspace=bt2020nc" in source_graph(wide, "a")
    assert "filter_params=a|strict|0.5|0.25," in compare_graph(SPEC, "a", mode="difference", split=0.25)


def test_refused():
    with pytest.raises(UsageError, match="NUL"):
        source_graph(SPEC, "a\0b")
    for wrong in ({"mode": "blend"}, {"split": 1.5}):
        with pytest.raises(UsageError, match="the split 0 to 1"):
            compare_graph(SPEC, "a", **wrong)
