"""Where the bytes of blobs rest: a folder, or an object store at a URL.

    open_files(url, folder) -> Files
    files.create(name) -> Sink                  write(bytes) .. commit() -> size | abort(); also a context manager
    files.read(name, start=0, end=None) -> Iterator[bytes]
    files.size(name) -> int
    files.delete(*names)                        no error for what is gone
    files.path(name) -> Path | None             for sendfile, where there is one
    files.sweep() -> int                        removes what crashed writers left
    files.check()                               SetupError where nothing can be kept there

Names are those of :mod:`picloud.store.blob`. All calls block: run them in threads. ``commit`` returns when the bytes and
the name would survive a power cut; a name shows nothing or the whole, never a part. NotFound names what is not there, at
the latest with the first piece that is read. Unavailable: an object store does not answer, or refuses; try again.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from picloud.store.files.base import PIECE, THREADS, Files, Sink
from picloud.store.files.folder import Folder
from picloud.store.files.remote import Remote

__all__ = ["PIECE", "THREADS", "Files", "Folder", "Remote", "Sink", "folder_of", "open_files"]


def open_files(url: str, folder: Path) -> Files:
    """The store at an obstore URL (``s3://bucket/prefix``, ``gs://``, ``az://``), or in a folder.

    Args:
        url: of the store; a ``file://`` URL or an absolute path is a folder too.
        folder: taken where ``url`` is empty.

    Raises:
        SetupError: the URL names no store, or the folder cannot be made.
    """
    chosen = folder_of(url, folder)
    return Remote(url) if chosen is None else Folder(chosen)


def folder_of(url: str, folder: Path) -> Path | None:
    """The folder that :func:`open_files` takes; None where it is an object store."""
    parts = urlsplit(url)
    if parts.scheme == "file" and parts.netloc in ("", "localhost"):
        return Path(unquote(parts.path))
    return Path(url or folder) if not url or url.startswith("/") else None
