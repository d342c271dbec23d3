"""The Hugging Face Hub: what the address of a neural video there looks like. No torch, no network on import."""

from models_hub.address import Address, is_address, parse_address

__all__ = ["Address", "is_address", "parse_address"]
