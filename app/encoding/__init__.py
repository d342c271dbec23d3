"""Long clips: fitted segment by segment, on this machine or on many, and joined into one .nerv file."""

from app.encoding.local import run_local
from app.encoding.parts import Part, join_parts
from app.encoding.ray_engine import run_ray
from app.encoding.report import PartReport, Tally

__all__ = ["Part", "PartReport", "Tally", "join_parts", "run_local", "run_ray"]
