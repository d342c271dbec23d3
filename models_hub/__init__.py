"""The Hugging Face Hub: neural videos found, fetched, published. No torch; no network library before
a `Hub` is made.
"""

from models_hub.address import Address, is_address, parse_address
from models_hub.entries import Account, Clip, Entry, Peek, Published, Verdict
from models_hub.hub import Hub
from models_hub.publication import Publication

__all__ = [
    "Account",
    "Address",
    "Clip",
    "Entry",
    "Hub",
    "Peek",
    "Publication",
    "Published",
    "Verdict",
    "is_address",
    "parse_address",
]
