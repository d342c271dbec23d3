"""What `nervplay info` asks a network."""

from nervplay.bitstream import NervHeader
from nervplay.errors import UsageError
from nervplay.models import get_architecture
from nervplay.models.cost import measure_cost

__all__ = ["gflops_per_frame"]


def gflops_per_frame(header: NervHeader) -> float | None:
    """Return 10**9 floating-point operations for one frame; None for a network that this version cannot build."""
    try:
        config = get_architecture(header.architecture).config.from_config(header.config)
        return measure_cost(header.architecture, config).gflops
    except UsageError:
        return None
