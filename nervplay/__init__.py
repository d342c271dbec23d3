"""nervplay: fit, compress, decode and measure neural video (NeRV).

Importing this package loads nothing heavy; import the floor that is needed, for example `nervplay.decode`.
"""

__version__ = "0.1.0"

__all__ = ["__version__"]
