"""The optional engine on the CPU that uses OpenVINO (extra `cpu`): float32, bfloat16 and eight-bit integers (W8A8).

`runtime` imports the package, `translate` and `operations` write a network in its operations, `program` runs it,
`bench` calibrates, `decoder` is the `Decoder`.
"""

from nervplay.decode.openvino.decoder import OpenvinoDecoder

__all__ = ["OpenvinoDecoder"]
