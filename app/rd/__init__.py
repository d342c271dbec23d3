"""Rate and quality of neural videos beside real encoders: measuring, summing up, and the page, table and picture."""

from app.rd.study import AnchorWish, RdCurve, RdPoint, RdStudy, parse_anchors, run_study

__all__ = ["AnchorWish", "RdCurve", "RdPoint", "RdStudy", "parse_anchors", "run_study"]
