"""A Hugging Face Hub on this computer's loopback, for tests: in memory, one process, standard library and PyYAML.

    with LoopbackHub(users={"hf_alice": "alice"}) as server:
        Hub(endpoint=server.url, token="hf_alice", cache_dir=...).search()

It answers what huggingface_hub asks for model repositories. Large files lie behind a second port ("the CDN"), which is
another origin, as on the real Hub. `server.fail(...)` plants faults, `server.log` holds every request.
"""

from loopback_hub.faults import Fault
from loopback_hub.server import LoopbackHub, Seen
from loopback_hub.state import Repository, StoredFile

__all__ = ["Fault", "LoopbackHub", "Repository", "Seen", "StoredFile"]
