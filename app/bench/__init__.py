"""How fast this machine decodes a file, by backend and precision: `nervplay bench`."""

from app.bench.results import device_name, write_table
from app.bench.study import Bench, Row, Wish, devices_here, run_bench

__all__ = ["Bench", "Row", "Wish", "device_name", "devices_here", "run_bench", "write_table"]
