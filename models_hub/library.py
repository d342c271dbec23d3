"""The optional library huggingface_hub: loaded when the first call needs it, named in one line where it is missing."""

from importlib import import_module

from nervplay.errors import CapabilityError

__all__ = ["require_library"]


def require_library() -> None:
    """Load huggingface_hub.

    Raises:
        CapabilityError: it is not installed, or too old.
    """
    try:
        version = import_module("huggingface_hub").__version__
    except ImportError as error:
        raise CapabilityError(
            f"the Hub needs the package huggingface_hub ({error}); install it: pip install nervplay[hub]"
        ) from None
    if tuple(int(part) for part in version.split(".")[:2]) < (2, 4):
        raise CapabilityError(
            f"huggingface_hub {version} is too old, the Hub needs 2.4 or newer; pip install -U nervplay[hub]"
        )
