"""Parts of files: two requests, never more bytes than asked for, whatever the server sends."""

import numpy as np
import pytest
from loopback_hub.videos import make_nerv

from nervplay.bitstream import Segment, peek_nerv
from nervplay.errors import RemoteError


def test_peek_takes_two_requests_and_a_part_of_the_file(server, hubs, video, nerv) -> None:
    peeked = hubs().peek(video)
    assert [(seen.port, seen.status) for seen in server.log] == [("hub", 302), ("cdn", 206)]
    assert server.log[1].headers["Range"] == "bytes=0-131071"
    assert peeked.header == peek_nerv(nerv)
    assert peeked.revision == server.repositories["alice/bunny"].head.sha
    assert str(peeked.address) == f"hf://alice/bunny@{peeked.revision}"


def test_peek_of_a_small_file_in_the_repository_itself(server, hubs) -> None:
    small = make_nerv(weights=500)
    server.add("alice/small", "clip.nerv", small, large=False)
    assert hubs().peek("hf://alice/small/clip.nerv").header == peek_nerv(small)


def test_peek_reads_on_where_the_head_lies_far_back(server, hubs) -> None:

    plain = np.random.default_rng(0).normal(size=(60_000,)).astype(np.float32)
    far = make_nerv(segments=(Segment(first_frame=0, frame_count=6, tensors={"a": plain}),))
    server.add("alice/far", "model.safetensors", far)
    assert hubs().peek("hf://alice/far").header == peek_nerv(far)
    assert len(server.log) == 4


def test_peek_reads_no_more_than_it_asked_for(server, hubs, video) -> None:
    server.fail("GET /get/", status=206, headers={"Content-Range": "bytes 5-9/10"})
    with pytest.raises(RemoteError, match="another part of the file"):
        hubs().peek(video)


def test_poster(server, hubs, video) -> None:
    picture = b"RIFF\x10\x00\x00\x00WEBPVP8 "
    server.add("alice/bunny", "preview/poster.webp", picture)
    assert hubs().poster("alice/bunny") == picture
    assert len(server.log) == 2
    for wrong in (b"GIF89a", picture + b"0" * 200_000):
        server.add("alice/bunny", "preview/poster.webp", wrong)
        with pytest.raises(RemoteError, match="no WebP of at most 200000 bytes"):
            hubs().poster("alice/bunny")
