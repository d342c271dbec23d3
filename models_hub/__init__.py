"""The Hugging Face Hub: where a neural video lies there, and what its address looks like. No torch, no network on import."""

from models_hub.address import Address, is_address, parse_address

__all__ = ["Address", "is_address", "parse_address"]
