"""Fixtures for all tests: where the golden vectors and the sample clip are, and a cache that is never the user's."""

import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

# Waiting threads sleep instead of spinning, as the command line has it: several times faster on a busy machine.
# Must stand before the first import of torch.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# In the background of a script Ctrl-C is ignored, and so it would be by all that tests start to interrupt it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# huggingface_hub reads these when it is loaded: no login, no mirror, no cache of the person who runs the tests.
os.environ.pop("HF_TOKEN", None)
os.environ.pop("HUGGING_FACE_HUB_TOKEN", None)
os.environ.pop("HF_ENDPOINT", None)
os.environ.pop("HF_HUB_OFFLINE", None)
os.environ.pop("HF_HUB_CACHE", None)
os.environ["HF_HOME"] = str(Path(tempfile.gettempdir()) / "nervplay-tests" / "huggingface")
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"

import pytest
from hypothesis import settings
from loopback_hub import LoopbackHub
from loopback_hub.checks import no_threads

settings.register_profile("nervplay", deadline=None)  # a timed assertion, which fails where a machine is busy
settings.load_profile("nervplay")

REPOSITORY = Path(__file__).resolve().parent.parent
KERNELS = Path(os.environ.get("NERVPLAY_TEST_KERNELS") or REPOSITORY / ".pytest_cache" / "kernels")
"""Where the C kernels are compiled to: once for all tests, again when their sources change."""


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Tests that need a GPU are skipped where there is none."""
    if item.get_closest_marker("cuda"):
        import torch

        if not torch.cuda.is_available():
            pytest.skip("needs an NVIDIA GPU")


@pytest.fixture(scope="session")
def golden() -> Path:
    """Folder of the tensors and checkpoints that the official code made; beside the checkout, not in it."""
    folder = REPOSITORY.parent / "shared" / "golden"
    if not folder.is_dir():
        pytest.skip("the golden vectors of the official code (../shared/golden) are not beside this checkout")
    return folder


@pytest.fixture(scope="session")
def clip() -> Path:
    """Big Buck Bunny as the papers use it: 132 frames, 1280x720, 25 fps, untagged H.264, 5.1 AAC sound."""
    return REPOSITORY / "samples" / "bigbuckbunny.mp4"


@pytest.fixture(scope="session", autouse=True)
def _private_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test reads or writes the user's own cache or configuration; compiled kernels stay beside pytest's.

    Of the session, so that it stands before all other fixtures.
    """
    home = tmp_path_factory.getbasetemp() / "home"
    kernels = home / "xdg_cache_home" / "nervplay" / "kernels"
    KERNELS.mkdir(parents=True, exist_ok=True)
    kernels.parent.mkdir(parents=True)
    kernels.symlink_to(KERNELS, target_is_directory=True)
    with pytest.MonkeyPatch.context() as environment:
        for variable in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "HF_HOME"):
            environment.setenv(variable, str(home / variable.lower()))
        yield


@pytest.fixture
def trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Checkpoints are converted in this process, without the child: the golden ones are our own, a child takes seconds.

    The child has its own tests (tests/nervplay/codec/test_official_load.py), and one with each family of checkpoints.
    """
    from nervplay.codec import official_load
    from nervplay.codec.official_child import convert
    from nervplay.errors import CheckpointError

    def convert_here(path: Path, target: Path) -> None:
        try:
            convert(str(path), str(target))
        except Exception as error:
            raise CheckpointError(f"{path}: {error}") from error

    monkeypatch.setattr(official_load, "_convert", convert_here)


TOKENS = {"hf_alice_secret": "alice", "hf_bob_secret": "bob"}


@pytest.fixture
def server() -> Iterator[LoopbackHub]:
    """A Hub on this computer, empty, with the users alice and bob."""
    with LoopbackHub(TOKENS) as running:
        yield running


@pytest.fixture
def hub_home(server: LoopbackHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The command line's Hub is `server`, its cache and its logins are empty; returns what HF_HOME would be.

    The library reads the environment when it is loaded, so its constants are set; a child process gets the environment.
    """
    import huggingface_hub
    from huggingface_hub import constants, hf_api

    home = tmp_path / "huggingface"
    monkeypatch.setattr(constants, "ENDPOINT", server.url)
    template = server.url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(hf_api.api, "endpoint", server.url)  # the library's own instance, which `login` uses
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(home / "hub"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(home / "token"))
    monkeypatch.setattr(constants, "HF_STORED_TOKENS_PATH", str(home / "stored_tokens"))
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    monkeypatch.setenv("HF_HOME", str(home))
    yield home
    no_threads()
    huggingface_hub.close_session()


@pytest.fixture
def logged_in(hub_home: Path) -> str:
    """Alice is logged in on the command line; returns her token."""
    hub_home.mkdir()
    (hub_home / "token").write_text("hf_alice_secret")
    return "hf_alice_secret"
