"""The former name of :mod:`cloud.bucket`, kept for old programs. New ones use ``cloud.bucket``."""

from __future__ import annotations

import warnings
from typing import Any

from cloud import bucket
from cloud._object_file import CloudBucketObject

warnings.warn("cloud.files is now cloud.bucket", DeprecationWarning, stacklevel=2)

__all__ = ["delete", "exists", "get", "get_md5", "getf", "list", "put", "putf", "sync_from_cloud", "sync_to_cloud"]


def put(source: str, name: str | None = None) -> None:
    """Store a file; see :func:`cloud.bucket.put`."""
    bucket.put(source, name)


def putf(f: Any, name: str) -> None:
    """Store bytes, a str or an open file; see :func:`cloud.bucket.putf`."""
    bucket.putf(f, name)


def get(name: str, destination: str | None = None, start_byte: int = 0, end_byte: int | None = None) -> None:
    """Bring an object into a file; see :func:`cloud.bucket.get`."""
    bucket.get(name, destination, None, start_byte, end_byte)


def getf(name: str, start_byte: int = 0, end_byte: int | None = None) -> CloudBucketObject:
    """Open an object; see :func:`cloud.bucket.getf`."""
    return bucket.getf(name, None, start_byte, end_byte)


def list() -> Any:
    """All keys, as a list."""
    return [*bucket.iterlist()]


def exists(name: str) -> bool:
    """Whether there is such an object."""
    return bucket.exists(name)


def delete(name: str) -> None:
    """Remove an object.

    Raises:
        NotFound: there is none.
    """
    bucket.info(name)
    bucket.remove(name)


def get_md5(name: str) -> str:
    """The md5 of an object, hexadecimal."""
    return bucket.get_md5(name)


def sync_to_cloud(source: str, name: str | None = None) -> None:
    """Store a file if it is not there or has another md5."""
    bucket.sync_to_cloud(source, name)


def sync_from_cloud(name: str, destination: str | None = None) -> None:
    """Bring an object into a file if that is not there or has another md5."""
    bucket.sync_from_cloud(name, destination)
