"""All points for other programs."""

import csv
import json

import pytest

from app.rd.table import render_csv, to_json


def test_csv(study):
    rows = list(csv.DictReader(render_csv(study).splitlines()))
    assert len(rows) == 10
    assert rows[1] | {"psnr": "", "ssim": ""} == {
        "curve": "hnerv",
        "kind": "neural",
        "point": "b <&>.nerv",
        "bytes": "2000",
        "target_bytes": "2000",
        "bpp": "0.200000",
        "kbit_per_second": "40.000",
        "psnr": "",
        "ssim": "",
    }
    assert float(rows[1]["psnr"]) == 33


def test_json(study):
    data = json.loads(json.dumps(to_json(study), allow_nan=False))
    assert [curve["name"] for curve in data["curves"]] == ["hnerv", "x264 slow", "x265 slow"]
    assert data["curves"][2]["points"][0] == {
        "name": "CRF 500",
        "bytes": 510,
        "target_bytes": 500,
        "bpp": pytest.approx(0.051),
        "quality": {"psnr": 33.0, "ssim": pytest.approx(1 - 10 / 33**2)},
    }
    assert data["bytes_at_equal_psnr"][0]["bytes"] == pytest.approx(500)
    assert data["bjontegaard"][0]["bd_rate_percent"] == pytest.approx(100)
    assert data["missing"] == {"vmaf": "no libvmaf & co"}
