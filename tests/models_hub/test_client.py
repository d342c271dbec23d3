"""The client under the library: ours inside our calls only; the private names it stands on are there."""

import inspect
import json
import subprocess
import sys
import threading

import httpx2
import huggingface_hub
import pytest
from huggingface_hub import constants, file_download
from huggingface_hub.utils import _headers, _http

from models_hub import client
from models_hub.client import Call, Refused, current_call
from nervplay.errors import Interrupted, RemoteError


def test_the_private_names_of_the_library_are_there() -> None:
    assert callable(_http.hf_request_event_hook)
    assert callable(_http.parse_ratelimit_headers)
    assert callable(_http.hf_raise_for_status)
    assert callable(_headers.build_hf_headers)
    assert isinstance(constants.DOWNLOAD_CHUNK_SIZE, int)
    assert isinstance(constants.HF_HUB_DISABLE_XET, bool)
    assert isinstance(constants.HUGGINGFACE_CO_URL_TEMPLATE, str)
    assert "constants.DOWNLOAD_CHUNK_SIZE" in inspect.getsource(file_download.http_get), "read when it is called"
    assert "progress.update(len(chunk))" in inspect.getsource(file_download.http_get), "told from inside the loop"
    assert file_download.repo_folder_name(repo_id="a/b", repo_type="model") == "models--a--b"


def test_outside_our_calls_the_library_is_its_own(server, hubs) -> None:
    """Another tool in this process: no time limit of ours, no error of ours, no xet header taken away."""
    hubs()
    assert current_call.get() is None
    session = huggingface_hub.get_session()
    server.fail("GET /api/models", status=503)
    assert session.get(f"{server.url}/api/models").status_code == 503
    server.add("alice/bunny", "model.safetensors", b"x")
    answer = session.head(f"{server.url}/alice/bunny/resolve/main/model.safetensors", follow_redirects=False)
    assert "X-Xet-Hash" in answer.headers


def test_a_second_hub_leaves_the_session_alone(hubs) -> None:
    hubs()
    session = huggingface_hub.get_session()
    hubs()
    assert huggingface_hub.get_session() is session
    huggingface_hub.set_client_factory(httpx2.Client)
    assert not isinstance(huggingface_hub.get_session(), client._Client)
    hubs()
    assert isinstance(huggingface_hub.get_session(), client._Client)


def test_what_changes_something_may_take_longer(server, monkeypatch) -> None:
    monkeypatch.setattr(client, "READ_SECONDS", 0.05)
    server.fail(".* /api/models", silence=0.4, times=-1)
    call = Call(None, lambda _sentence: None)
    call.send(httpx2.Request("POST", f"{server.url}/api/models"))
    with pytest.raises(client.Unreachable):
        call.send(httpx2.Request("GET", f"{server.url}/api/models"))
    call.close()


def test_install_switches_xet_off_and_makes_steps_small(hubs) -> None:
    hubs()
    assert constants.HF_HUB_DISABLE_XET is True
    assert constants.DOWNLOAD_CHUNK_SIZE == client.CHUNK_BYTES


def test_a_redirect_to_another_origin_loses_the_login(server, hubs) -> None:
    hubs()
    server.add("alice/bunny", "model.safetensors", b"x")
    call = Call(None, lambda _sentence: None)
    headers = {"Authorization": "Bearer hf_alice_secret"}
    call.send(httpx2.Request("GET", f"{server.url}/alice/bunny/resolve/main/model.safetensors", headers=headers))
    call.close()
    first, second = server.log
    assert "hf_alice_secret" in str(first.headers)
    assert (second.port, "hf_alice_secret" in str(second.headers)) == ("cdn", False)


def test_a_redirect_loop_ends(server, hubs) -> None:
    server.fail("GET /api/models", status=302, headers={"Location": f"{server.url}/api/models"}, times=-1)
    with pytest.raises(RemoteError):
        hubs().search()
    assert len(server.log) == 6


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"RateLimit": '"api";r=0;t=55'}, 55),
        ({"RateLimit": '"api";r=3;t=55'}, None),
        ({"RateLimit": '"api";r=3;t=55', "Retry-After": "9"}, 9),
        ({"Retry-After": "99999999999"}, None),
        ({"Retry-After": "-5"}, None),
        ({}, None),
    ],
)
def test_seconds_of_a_pause(server, headers: dict[str, str], seconds: int | None) -> None:
    server.fail("GET /", status=429, headers=headers)
    call = Call(None, lambda _sentence: None)
    with pytest.raises(Refused) as caught:
        call.send(httpx2.Request("GET", f"{server.url}/"))
    call.close()
    assert (caught.value.status, caught.value.seconds) == (429, seconds)


def test_a_cancelled_call_sends_nothing(server) -> None:
    cancel = threading.Event()
    cancel.set()
    call = Call(cancel, lambda _sentence: None)
    with pytest.raises(Interrupted):
        call.send(httpx2.Request("GET", f"{server.url}/"))
    call.close()
    assert server.log == []


def test_a_call_cancelled_while_it_connects_leaves_no_socket(server) -> None:
    class Late(threading.Event):
        asked = 0

        def is_set(self) -> bool:
            self.asked += 1
            return self.asked > 1

    call = Call(Late(), lambda _sentence: None)
    with pytest.raises(Interrupted):
        call.send(call._client.build_request("GET", server.url))
    (opened,) = call._sockets
    call.close()
    assert opened.fileno() == -1
    assert server.log == []


def test_import_is_light() -> None:
    code = "import json, sys, models_hub; print(json.dumps(sorted(sys.modules)))"
    modules = json.loads(subprocess.check_output([sys.executable, "-c", code], text=True))
    assert {"torch", "av", "PySide6", "huggingface_hub", "httpx2"}.isdisjoint(modules)
    bare = subprocess.check_output([sys.executable, "-c", "import sys; print(len(sys.modules))"], text=True)
    assert len(modules) - int(bare) < 300, "each takes time"


def test_a_hub_does_not_load_torch() -> None:
    code = "import sys, models_hub; models_hub.Hub(token=False); print(sorted({'torch', 'av'} & set(sys.modules)))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
