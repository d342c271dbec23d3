"""The C kernels: sources, build, packed weights and calls. Optional everywhere; without them PyTorch decodes."""

__all__: list[str] = []
