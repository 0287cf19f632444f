"""Files that the build has made, as they are served: read once, and again where they have changed."""

from __future__ import annotations

import gzip
import zlib
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

from picloud.wire.error import NotFound

KEPT = b"public, max-age=31536000, immutable"
"""Of files whose name changes with their content."""
RENEWED = b"no-cache"
"""Of others: kept, but asked for each time."""
KINDS = {
    ".html": b"text/html; charset=utf-8", ".js": b"text/javascript; charset=utf-8", ".css": b"text/css; charset=utf-8",
    ".json": b"application/json", ".map": b"application/json", ".svg": b"image/svg+xml", ".png": b"image/png",
    ".ico": b"image/x-icon", ".woff2": b"font/woff2", ".wasm": b"application/wasm", ".txt": b"text/plain; charset=utf-8",
    ".webmanifest": b"application/manifest+json",
}  # fmt: skip


class File(NamedTuple):
    """One file."""

    data: bytes
    packed: bytes  # the same by gzip; b"" = there is none
    kind: bytes
    etag: bytes


class Folder:
    """A folder with files.

    Args:
        place: where it is; it need not exist.
    """

    def __init__(self, place: Path) -> None:
        self._place = place
        self._known: dict[str, tuple[tuple[int, int], File]] = {}

    def file(self, name: str) -> File:
        """A file, by its path within the folder, which must not lead out of it.

        Raises:
            NotFound: there is none.
        """
        path = self._place / name
        try:
            about = path.stat()
            seen = (about.st_mtime_ns, about.st_size)
            known = self._known.get(name)
            if known is None or known[0] != seen:
                known = self._known[name] = (seen, _read(path))
        except OSError:
            raise NotFound(f"there is no file {name[:200]}", hint="make dashboard builds it") from None
        return known[1]


def _read(path: Path) -> File:
    data = path.read_bytes()
    etag = f'W/"{blake2b(data, digest_size=12).hexdigest()}"'.encode()
    return File(data, _packed(path.with_name(path.name + ".gz"), data), KINDS.get(path.suffix, b"application/octet-stream"), etag)


def _packed(path: Path, data: bytes) -> bytes:
    """What lies beside a file, if it is the same; what was left by an earlier build is not."""
    try:
        packed = path.read_bytes()
        return packed if gzip.decompress(packed) == data else b""
    except (OSError, EOFError, zlib.error):
        return b""
