"""All points as CSV and as JSON-plain data."""

import csv
import io
from typing import Any

from app.rd.study import RdStudy
from app.rd.summary import bd_figures, equal_quality

__all__ = ["render_csv", "to_json"]


def render_csv(study: RdStudy) -> str:
    """Return one row per point: curve, kind, point, bytes, bits per pixel, bit rate, and the measures."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["curve", "kind", "point", "bytes", "target_bytes", "bpp", "kbit_per_second", *study.measures])
    for curve in study.curves:
        for point in curve.points:
            rates = (f"{study.bpp(point.size):.6f}", f"{study.kbit_per_second(point.size):.3f}")
            quality = (f"{point.quality[measure]:.6f}" for measure in study.measures)
            kind = "neural" if curve.neural else "anchor"
            rows.writerow([curve.name, kind, point.name, point.size, point.target, *rates, *quality])
    return text.getvalue()


def to_json(study: RdStudy) -> dict[str, Any]:
    """Return all points and all figures, JSON-plain."""
    return {
        "clip": study.clip,
        "video": study.spec.to_json(),
        "measures": list(study.measures),
        "missing": dict(study.missing),
        "curves": [
            {
                "name": curve.name,
                "neural": curve.neural,
                "points": [
                    {
                        "name": point.name,
                        "bytes": point.size,
                        "target_bytes": point.target,
                        "bpp": study.bpp(point.size),
                        "quality": dict(point.quality),
                    }
                    for point in curve.points
                ],
            }
            for curve in study.curves
        ],
        "bytes_at_equal_psnr": [
            {"file": file.name, "anchor": anchor, "bytes": size} for file, anchor, size in equal_quality(study)
        ],
        "bjontegaard": [
            {
                "curve": figure.curve,
                "reference": figure.reference,
                "measure": figure.measure,
                "bd_rate_percent": figure.rate,
                "bd_quality": figure.quality,
                "reason": figure.reason,
            }
            for figure in bd_figures(study)
        ],
    }
