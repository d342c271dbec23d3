"""Addresses on the Hub: what is understood, what is refused, and that the written form reads back."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models_hub import Address, is_address, parse_address
from models_hub.address import DEFAULT_FILE
from nervplay.errors import UsageError

LOW = "variants/low.safetensors"


@pytest.mark.parametrize(
    ("text", "revision", "file"),
    [
        ("hf://alice/bunny", None, DEFAULT_FILE),
        ("HF://alice/bunny", None, DEFAULT_FILE),
        ("hf://models/alice/bunny", None, DEFAULT_FILE),
        ("hf://alice/bunny/", None, DEFAULT_FILE),
        ("hf://alice/bunny@v1", "v1", DEFAULT_FILE),
        ("hf://alice/bunny@v1/" + LOW, "v1", LOW),
        ("hf://alice/bunny/" + LOW, None, LOW),
        ("hf://alice/bunny/a@b.nerv", None, "a@b.nerv"),
        ("hf://alice/bunny@refs/pr/3", "refs/pr/3", DEFAULT_FILE),
        ("hf://alice/bunny@refs/pr/3/" + LOW, "refs/pr/3", LOW),
        ("hf://alice/bunny@feature%2Fnew/" + LOW, "feature/new", LOW),
        ("hf://alice/bunny/low%20rate.nerv", None, "low rate.nerv"),
        ("alice/bunny", None, DEFAULT_FILE),
        ("alice/bunny@v1.0", "v1.0", DEFAULT_FILE),
        ("https://huggingface.co/alice/bunny", None, DEFAULT_FILE),
        ("https://huggingface.co/alice/bunny/?library=nervplay#top", None, DEFAULT_FILE),
        ("http://hf.co/alice/bunny/tree/v1", "v1", DEFAULT_FILE),
        ("https://huggingface.co/alice/bunny/tree/refs%2Fpr%2F3", "refs/pr/3", DEFAULT_FILE),
        ("https://huggingface.co/alice/bunny/blob/main/" + LOW, "main", LOW),
        ("https://huggingface.co/alice/bunny/resolve/main/" + LOW + "?download=true", "main", LOW),
        ("https://huggingface.co/alice/bunny/resolve/refs%2Fpr%2F3/" + LOW, "refs/pr/3", LOW),
    ],
)
def test_forms(text: str, revision: str | None, file: str) -> None:
    assert parse_address(text) == Address(repository="alice/bunny", revision=revision, file=file)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hf://",
        "hf://bunny",
        "hf:///bunny",
        "hf://alice/",
        "hf://alice/bunny@",
        "hf://alice/bun ny",
        "hf://alice/bunny--x",
        "hf://alice/.bunny",
        "hf://alice/bunny-",
        "hf://alice/bunny.git",
        "hf://alice/" + "b" * 97,
        "hf://alice/bunny/../../etc/passwd",
        "hf://alice/bunny/..%2F..%2Fmodel.safetensors",
        "hf://alice/bunny/a//b.nerv",
        "hf://alice/bunny//etc/b.nerv",
        "hf://alice/bunny/C:b.nerv",
        "hf://alice/bunny/a\\b.nerv",
        "hf://alice/bunny/b%00.nerv",
        "hf://alice/bunny/weights.pth",
        "hf://alice/bunny@../x",
        "hf://alice/bunny@a%2F..%2Fb",
        "hf://datasets/alice/clips",
        "alice/bunny/model.safetensors",
        "bunny.nerv",
        "./bunny.nerv",
        "/data/bunny.nerv",
        "https://huggingface.co/alice",
        "https://huggingface.co/datasets/alice/clips",
        "https://huggingface.co/alice/bunny/discussions/4",
        "https://huggingface.co/alice/bunny/tree",
        "https://huggingface.co/alice/bunny/tree/main/variants",
        "https://example.org/alice/bunny",
        "https://huggingface.co.example.org/alice/bunny",
    ],
)
def test_refused_in_one_line(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_address(text)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) > 20


def test_longest_name_is_allowed() -> None:
    assert parse_address("hf://alice/" + "b" * 96).repository == "alice/" + "b" * 96


@pytest.mark.parametrize(
    ("text", "remote"),
    [
        ("hf://a/b", True),
        ("HF://a/b", True),
        ("https://huggingface.co/a/b", True),
        ("https://HF.co", True),
        ("a/b", False),
        ("hf/a.nerv", False),
        ("https://example.org/a/b", False),
        ("https://huggingface.company/a/b", False),
        ("clip.nerv", False),
    ],
)
def test_is_address(text: str, remote: bool) -> None:
    assert is_address(text) is remote


NAMES = st.from_regex(r"[a-z0-9_]([a-z0-9_.]{0,10}[a-z0-9_])?", fullmatch=True).filter(
    lambda name: ".." not in name and not name.endswith(".git") and name not in ("models", "datasets")
)
REVISIONS = st.none() | st.from_regex(r"[A-Za-z0-9_+-]{1,8}(/[A-Za-z0-9_+-]{1,8}){0,3}", fullmatch=True)
STEPS = st.text(st.characters(exclude_characters='/\\:*?"<>|', exclude_categories=["C"]), min_size=1, max_size=12)
FILES = st.lists(STEPS.filter(lambda step: step not in (".", "..")), min_size=1, max_size=3).map(
    lambda steps: "/".join(steps) + ".nerv"
)


@given(NAMES, NAMES, REVISIONS, FILES | st.just(DEFAULT_FILE))
def test_written_form_reads_back(user: str, name: str, revision: str | None, file: str) -> None:
    address = Address(repository=f"{user}/{name}", revision=revision, file=file)
    assert parse_address(str(address)) == address


@given(st.text(max_size=60).map("hf://a/b".__add__) | st.text(max_size=60))
def test_any_text_is_an_address_or_a_usage_error(text: str) -> None:
    try:
        address = parse_address(text)
    except UsageError:
        return
    assert ".." not in address.file.split("/")
    assert not address.file.startswith("/")


def test_no_network_library_and_no_torch() -> None:
    code = "import sys, models_hub; print(sorted({'torch', 'av', 'huggingface_hub', 'httpx2'} & set(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
