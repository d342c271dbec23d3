"""Parts of a file on the Hub, read by HTTP Range: two requests, the Hub's redirect and its store's answer."""

import io
import re
from typing import NamedTuple

from huggingface_hub import HfApi, get_session, hf_hub_url
from huggingface_hub.utils._headers import build_hf_headers
from huggingface_hub.utils._http import hf_raise_for_status

from models_hub.layout import LIBRARY
from models_hub.running import check_cancel
from nervplay.errors import RemoteError

__all__ = ["WINDOW_BYTES", "Part", "RemoteFile", "fetch_part"]

WINDOW_BYTES = 128 << 10
"""What one request takes: enough for header and head of almost every video."""

_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")


class Part(NamedTuple):
    """Bytes of a file on the Hub, the size of the whole file, and the commit that it belongs to ("" if unknown)."""

    data: bytes
    file_bytes: int
    revision: str


def fetch_part(api: HfApi, repository: str, revision: str, file: str, *, start: int, length: int) -> Part:
    """Return at most `length` bytes of a file from byte `start` on; never reads more, whatever the server sends.

    Args:
        api: endpoint and token.
        repository: "user/name".
        revision: branch, tag or commit.
        file: path in the repository.
        start: first byte.
        length: number of bytes, at least 1.

    Raises:
        RemoteError: an answer that is not what was asked for.
    """
    url = hf_hub_url(repository, file, revision=revision, endpoint=api.endpoint)
    headers = build_hf_headers(token=api.token, library_name=LIBRARY, library_version=api.library_version)
    headers |= {"Range": f"bytes={start}-{start + length - 1}", "Accept-Encoding": "identity"}
    data = bytearray()
    with get_session().stream("GET", url, headers=headers) as response:
        hf_raise_for_status(response)
        commit = next(
            (r.headers["X-Repo-Commit"] for r in (*response.history, response) if "X-Repo-Commit" in r.headers), ""
        )
        begin, file_bytes = _extent(response.status_code, response.headers.get("Content-Range", ""), start)
        if begin is None:  # the whole file comes, though a part was asked for
            begin, file_bytes = 0, int(response.headers.get("Content-Length", 0))
        for block in response.iter_bytes():
            check_cancel()
            data += block
            if len(data) >= start - begin + length:
                break
    return Part(bytes(data[start - begin : start - begin + length]), file_bytes, commit)


def _extent(status: int, content_range: str, start: int) -> tuple[int | None, int]:
    """Return the first byte that comes and the size of the whole file; (None, 0) when the whole file comes."""
    if status != 206:
        return None, 0
    match = _CONTENT_RANGE.fullmatch(content_range)
    if match is None or int(match[1]) != start:
        raise RemoteError(
            f"the Hub sent another part of the file than was asked for ('{content_range[:40]}'); try again"
        )
    return start, int(match[3])


class RemoteFile(io.RawIOBase):
    """A file on the Hub as a seekable stream that is fetched in windows, at one commit.

    Args:
        api: endpoint and token.
        repository: "user/name".
        revision: branch, tag or commit; the first answer pins the commit.
        file: path in the repository.
    """

    def __init__(self, api: HfApi, repository: str, revision: str, file: str) -> None:
        super().__init__()
        self._api, self._repository, self._file = api, repository, file
        self._start, self._position = 0, 0
        first = fetch_part(api, repository, revision, file, start=0, length=WINDOW_BYTES)
        self._window = first.data
        self.size: int = first.file_bytes
        """Bytes of the whole file."""
        self.revision: str = first.revision or revision
        """The commit that is read."""

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position in bytes."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Set the position and return it."""
        self._position = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size}[whence]
        return self._position

    def read(self, size: int = -1, /) -> bytes:
        """Return `size` bytes, fewer at the end of the file."""
        stop = self.size if size < 0 else min(self._position + size, self.size)
        start = min(self._position, stop)
        if not (self._start <= start and stop <= self._start + len(self._window)):
            self._fetch(start, max(stop - start, 1))
        data = self._window[start - self._start : stop - self._start]
        self._position = start + len(data)
        return data

    def _fetch(self, start: int, length: int) -> None:
        part = fetch_part(
            self._api, self._repository, self.revision, self._file, start=start, length=max(length, WINDOW_BYTES)
        )
        self._start, self._window = start, part.data
