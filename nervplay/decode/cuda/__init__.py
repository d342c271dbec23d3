"""Decoding on a GPU: CUDA graphs, copies that overlap, and INT8 convolutions in Triton; `decoder.CudaDecoder`."""

__all__: list[str] = []
