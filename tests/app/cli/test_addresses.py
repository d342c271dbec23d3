"""Arguments that are addresses."""

import pytest

from app.cli.addresses import ADDRESS, LOCAL_ADDRESS
from models_hub import Address
from nervplay.errors import UsageError


@pytest.mark.parametrize("kind", [ADDRESS, LOCAL_ADDRESS])
def test_the_bare_form_counts_here(kind) -> None:
    found = kind.convert("alice/bunny@v1", None, None)
    assert found == Address(repository="alice/bunny", revision="v1")
    assert kind.convert(found, None, None) is found
    with pytest.raises(UsageError, match="not an address"):
        kind.convert("alice", None, None)


def test_only_what_may_be_fetched_takes_offline() -> None:
    assert (ADDRESS.remote, LOCAL_ADDRESS.remote) == (True, False)
