"""Who is logged in. Tokens live in the library's own store, shared with its other tools; nothing of ours is kept."""

import os

import huggingface_hub
from huggingface_hub import HfApi, constants
from huggingface_hub.errors import HfHubHTTPError

from models_hub.entries import Account
from models_hub.running import notify
from nervplay.errors import RemoteError, UsageError

__all__ = ["log_in", "log_out", "who_am_i"]


def who_am_i(api: HfApi) -> Account:
    """Return the user of the token in use.

    Args:
        api: endpoint and token.

    Raises:
        RemoteError: nobody is logged in.
        library and network errors, which the runner explains.
    """
    token = huggingface_hub.get_token() if api.token is None else api.token
    if not token:
        raise RemoteError("nobody is logged in; log in first: nervplay hub login")
    facts = api.whoami(token=token)
    role = (facts.get("auth") or {}).get("accessToken", {}).get("role", "")
    return Account(
        name=facts["name"],
        role=role,
        organisations=tuple(each["name"] for each in facts.get("orgs", [])),
    )


def log_in(api: HfApi, token: str) -> Account:
    """Keep a token for all tools of the Hub on this computer, once the Hub has accepted it.

    Args:
        api: endpoint to ask.
        token: as the Hub's settings page shows it.

    Raises:
        UsageError: not the shape of a token.
        library and network errors, which the runner explains.
    """
    if api.endpoint != constants.ENDPOINT:
        raise UsageError(f"a login is kept for {constants.ENDPOINT}, not for {api.endpoint}; set HF_ENDPOINT first")
    if not token.isascii() or not token.isprintable() or not 8 <= len(token) <= 500 or " " in token:
        raise UsageError("that is not a token; copy it from https://huggingface.co/settings/tokens, it begins with hf_")
    try:
        huggingface_hub.login(token=token, add_to_git_credential=False)
    except HfHubHTTPError as error:
        if error.response.status_code != 401:
            raise
        raise RemoteError("the Hub does not accept this token; make a new one on its settings page") from None
    if os.environ.get("HF_TOKEN"):
        notify("HF_TOKEN is set, and counts before the login that was kept")
    return who_am_i(HfApi(endpoint=api.endpoint, token=token, library_name=api.library_name))


def log_out() -> None:
    """Forget all tokens that are kept on this computer.

    Raises:
        UsageError: HF_TOKEN is set, which only its owner can take back.
    """
    if os.environ.get("HF_TOKEN"):
        raise UsageError("the login comes from HF_TOKEN, which nervplay cannot forget; unset it")
    huggingface_hub.logout()
