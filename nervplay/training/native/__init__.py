"""The C kernels of a fit: sources, build, calls. Optional everywhere; without them PyTorch computes the same."""

__all__: list[str] = []
