"""Long clips and many fits: parts that engines fit, the search for a network, and how far all of them are."""

from app.encoding.local import run_local
from app.encoding.parts import Part, join_parts
from app.encoding.ray_engine import run_ray
from app.encoding.report import PartReport, Tally

__all__ = ["Part", "PartReport", "Tally", "join_parts", "run_local", "run_ray"]
