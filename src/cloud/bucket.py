"""The bucket: one key-value store per account, on the server's disk.

    cloud.bucket.put("data/points.csv")                      # the key: points.csv
    cloud.bucket.putf(b"some bytes", "results/one")
    for line in cloud.bucket.getf("points.csv"): ...
    cloud.bucket.get("points.csv", "copy.csv")

A key is text with ``/`` between its parts, each at most 255 bytes, together at most 1,024. ``prefix`` is a folder, or a list
of the parts of its name: the key is then ``prefix/obj_path``. A key cannot be a folder at the same time. A put is atomic:
readers see the old object or the new one. The same functions work in jobs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from cloud import _batches, _download, _objects, _source, _target, _upload
from cloud._object_file import CloudBucketObject
from cloud._objects import Page, Prefix
from cloud._progress import Bar
from picloud.wire.object import Content, check_headers

__all__ = [
    "CloudBucketObject", "copy", "exists", "get", "get_many", "get_md5", "getf", "info", "is_public", "iterlist", "list",
    "make_folder", "make_private", "make_public", "mpsafe_get", "public_url_folder", "put", "put_many", "putf", "remove",
    "remove_prefix", "rename", "sync_from_cloud", "sync_to_cloud", "usage",
]  # fmt: skip

# -- putting ------------------------------------------------------------------------------------------------------------


def put(file_path: str, obj_path: str | None = None, prefix: Prefix = None, *, if_match: str | None = None) -> str:
    """Store a file as an object. An object that has the key already is replaced when all bytes have arrived.

    Args:
        file_path: a regular file of this machine, at most 5 TiB. Its type and encoding are guessed from the name.
        obj_path: the key; None = the file's base name.
        prefix: a folder before it.
        if_match: replace only the version with this etag (see :func:`info`); ``""`` = there must be none yet.

    Returns:
        The etag of the new version.

    Raises:
        OSError: the file cannot be read. Nothing is sent.
        BadRequest: the key is not allowed. Nothing is sent.
        Conflict: another version is there; or the key is a folder, or lies below an object.
        StorageFull: the quota, or the server's disk, is full.
        CloudException: the file changed while it was sent.
    """
    key = _objects.key_for(file_path, obj_path, prefix)
    with _source.of_file(file_path) as source:
        return _upload.put(source, key, _source.headers_for(key, str(file_path)), if_match).etag


def putf(f: Any, obj_path: str, prefix: Prefix = None, *, if_match: str | None = None) -> str:
    """Store bytes, a str (as UTF-8), or what a file holds from where it stands.

    Args:
        f: a file must be opened for bytes and seekable; it is closed afterwards.
        obj_path, prefix, if_match: as for :func:`put`.

    Returns:
        The etag of the new version.

    Raises:
        TypeError: f is nothing of that.
        OSError: the file is not seekable, or cannot be read.
        CloudException: as for :func:`put`.
    """
    key = _objects.key_of(obj_path, prefix)
    with _source.of_object(f, repr(key)) as source:
        return _upload.put(source, key, _source.headers_for(key), if_match).etag


def put_many(items: Mapping[str, Any] | Iterable[tuple[str, Any]], prefix: Prefix = None) -> int:
    """Store many small objects quickly: a thousand, or 8 MiB of them, come to be at once.

    Args:
        items: bytes or str by key: a dict, or any iterable of pairs.
        prefix: a folder before each key.

    Returns:
        How many.

    Raises:
        TypeError: a content is neither bytes nor str. The batches before it are stored.
        CloudException: as for :func:`put`; nothing of its batch is stored.
    """
    return _batches.put_many(items, prefix)


def sync_to_cloud(file_path: str, obj_path: str | None = None, prefix: Prefix = None) -> None:
    """The same as :func:`put`, but only if the object is not there or has another md5."""
    key = _objects.key_for(file_path, obj_path, prefix)
    with _source.of_file(file_path) as source:
        found = _objects.find([key])
        if found and found[0].size == source.size and _objects.digest(key) == _digest_of(source, key):
            return
        _upload.put(source, key, _source.headers_for(key, str(file_path)))


# -- getting ------------------------------------------------------------------------------------------------------------


def get(
    obj_path: str, file_path: str | None = None, prefix: Prefix = None, start_byte: int = 0, end_byte: int | None = None
) -> None:
    """Bring an object into a file. The file shows what it held before, or all that is new.

    Args:
        obj_path: the key.
        prefix: a folder before it.
        file_path: None = the key's last part, in the current folder; of a folder: in that. Folders are made.
        start_byte: only from this byte on,
        end_byte: up to this one, exclusive; None = to the end.

    Raises:
        NotFound: there is no such object.
        BadRequest: the key is not allowed, or the range begins behind the object's end.
        OSError: the file cannot be written.
        Corrupt: the bytes came with a wrong md5, twice (it is a RuntimeError too).
    """
    part, key = _download.Range(start_byte, end_byte), _objects.key_of(obj_path, prefix)
    _fetch(key, _target.path_for(file_path, _objects.base_name(key)), part)


def getf(obj_path: str, prefix: Prefix = None, start_byte: int = 0, end_byte: int | None = None) -> CloudBucketObject:
    """Open an object for reading; only what is read is fetched.

    Args:
        obj_path, prefix, start_byte, end_byte: as for :func:`get`. Positions count from ``start_byte``.

    Raises:
        NotFound: there is no such object.
        BadRequest: the key is not allowed, or the range begins behind the object's end.
    """
    part, key = _download.Range(start_byte, end_byte), _objects.key_of(obj_path, prefix)
    found = _objects.content(key)
    return CloudBucketObject(found, *part.within(found))


def get_many(obj_paths: Iterable[str], prefix: Prefix = None) -> Iterator[tuple[str, bytes]]:
    """Many small objects quickly: a thousand with one question.

    Args:
        obj_paths: their keys.
        prefix: a folder before each.

    Returns:
        Pairs of key and bytes, in order, as they come; ``dict(get_many(keys))`` has them all.

    Raises:
        NotFound: one is not there; raised where it would have come.
    """
    return _batches.get_many(_objects.keys_of(obj_paths, prefix))


def sync_from_cloud(obj_path: str, file_path: str | None = None, prefix: Prefix = None) -> None:
    """The same as :func:`get`, but only if the file is not there or has another md5."""
    key = _objects.key_of(obj_path, prefix)
    path = _target.path_for(file_path, _objects.base_name(key))
    if not _is_current(key, path):
        _fetch(key, path, _download.Range())


def mpsafe_get(
    obj_path: str,
    file_path: str | None = None,
    prefix: Prefix = None,
    start_byte: int = 0,
    end_byte: int | None = None,
    timeout: float | None = None,
    do_sync: bool = False,
) -> None:
    """A :func:`get` for many processes of one machine that want the same file: one gets it, the others wait and find it.

    Args:
        obj_path, file_path, prefix, start_byte, end_byte: as for :func:`get`.
        timeout: seconds to wait for another process; None = as long as it takes.
        do_sync: get it also if the file is there and has another md5. Not for a part of an object.

    Raises:
        CloudTimeoutError: another process was still getting it.
        CloudException: as for :func:`get`.
    """
    part, key = _download.Range(start_byte, end_byte), _objects.key_of(obj_path, prefix)
    if do_sync and (start_byte or end_byte is not None):
        raise ValueError("do_sync compares whole objects: leave out start_byte and end_byte")
    path = _target.path_for(file_path, _objects.base_name(key))
    with _target.locked(path, timeout):
        if not (_is_current(key, path) if do_sync else _target.exists(path)):
            _fetch(key, path, part)


def _fetch(key: str, path: str, part: _download.Range) -> None:
    def write(found: Content, pieces: Iterator[bytes]) -> None:
        start, end = part.within(found)
        with Bar(end - start, what=key, unit="bytes") as bar, _target.replacing(path) as file:
            for piece in pieces:
                _target.write_all(file, piece)
                bar.step(len(piece))

    _download.save(key, part, write)


def _is_current(key: str, path: str) -> bool:
    one = _objects.get(key)
    if not _target.exists(path):
        return False
    with _source.of_file(path) as source:
        return source.size == one.size and _digest_of(source, key) == (one.md5 or _objects.digest(key))


def _digest_of(source: _source.Source, key: str) -> str:
    with Bar(source.size, what=key, unit="bytes") as bar:
        return _source.md5_of(source, bar.step)


# -- what is there --------------------------------------------------------------------------------------------------------


def list(prefix: Prefix = None, folderize: bool = False, marker: str | None = None, max_keys: int = 1000) -> Page:
    """A page of keys, sorted by their UTF-8 bytes.

    Args:
        prefix: only what lies in this folder; None = everything.
        folderize: show what lies deeper as its folder: a key that ends in ``/``.
        marker: only keys behind this one: the last of the page before.
        max_keys: at most so many, 1 to 10,000.

    Returns:
        A list of whole keys (with the prefix); its attribute ``truncated`` is True where more follow.
    """
    return _objects.page(prefix, folderize, marker, max_keys)


def iterlist(prefix: Prefix = None, folderize: bool = False, num_readahead_keys: int = 1000) -> Iterator[str]:
    """All keys, page by page.

    Args:
        prefix, folderize: as for :func:`list`.
        num_readahead_keys: keys of one page.
    """
    for found in _objects.pages(prefix, folderize, num_readahead_keys):
        yield from found


def exists(obj_path: str, prefix: Prefix = None) -> bool:
    """Whether there is such an object. A folder is none."""
    return bool(_objects.find([_objects.key_of(obj_path, prefix)]))


def info(obj_path: str, prefix: Prefix = None) -> dict[str, Any]:
    """What is known of an object.

    Returns:
        size (bytes), created, last-modified (datetimes), md5sum (None = nobody has computed it; :func:`get_md5` does), etag,
        public, url (None where it is not public), and its headers by name.

    Raises:
        NotFound: there is no such object.
    """
    return _objects.shown(_objects.get(_objects.key_of(obj_path, prefix)))


def get_md5(obj_path: str, prefix: Prefix = None) -> str:
    """The md5 of an object, hexadecimal; the server computes it if nobody has before.

    Raises:
        NotFound: there is no such object.
    """
    return _objects.digest(_objects.key_of(obj_path, prefix))


def usage() -> dict[str, int]:
    """What the account stores in its bucket and volumes: objects, bytes, and its quota in bytes (0 = none)."""
    told = _objects.totals()
    return {name: int(told[name]) for name in ("objects", "bytes", "quota")}


# -- changing -------------------------------------------------------------------------------------------------------------


def remove(obj_paths: str | Iterable[str], prefix: Prefix = None) -> bool:
    """Remove objects; those that are not there are no error.

    Args:
        obj_paths: one key, or several. All are checked before the first is removed.

    Returns:
        True if at least one was there.
    """
    return _objects.remove(_objects.keys_of(obj_paths, prefix)) > 0


def remove_prefix(prefix: Prefix) -> int:
    """Remove a folder with all that lies in it, at once; how many objects.

    Raises:
        ValueError: the prefix is empty.
    """
    return _objects.remove_below(prefix)


def rename(obj_path: str, new_path: str, prefix: Prefix = None, replace: bool = True) -> None:
    """Give an object or a whole folder another key, at once. No bytes move.

    Args:
        obj_path, new_path: the old key and the new one.
        prefix: a folder before both.
        replace: an object, or an empty folder, at the new key goes. False = it is an error.

    Raises:
        NotFound: there is nothing of that name.
        Conflict: something is at the new key that does not go.
    """
    _objects.change("rename", _objects.key_of(obj_path, prefix), _objects.key_of(new_path, prefix), replace)


def copy(obj_path: str, new_path: str, prefix: Prefix = None) -> int:
    """Have an object, or all of a folder, a second time. No bytes move; they count twice.

    Args:
        obj_path, new_path: the key, and that of the copy; an object that is there is replaced.
        prefix: a folder before both.

    Returns:
        How many objects.

    Raises:
        NotFound: there is nothing of that name.
        Conflict: a new key is a folder, or lies below an object.
        StorageFull: above the quota.
    """
    return _objects.change("copy", _objects.key_of(obj_path, prefix), _objects.key_of(new_path, prefix))["copied"]


def make_folder(obj_path: str, prefix: Prefix = None) -> None:
    """Have a folder even while nothing lies in it; one that is there stays.

    Raises:
        Conflict: it, or something above it, is an object.
    """
    _objects.change("folder", _objects.key_of(obj_path, prefix))


# -- for everybody ----------------------------------------------------------------------------------------------------------


def make_public(
    obj_path: str, prefix: Prefix = None, headers: Mapping[str, str] | None = None, reset_headers: bool = False
) -> str:
    """Let everybody get an object under a URL. It stays public when it is replaced.

    Args:
        headers: to be served with it. ``content-type``, ``content-encoding``, ``content-disposition`` and ``cache-control`` by
            those names, others with ``x-meta-`` before. Values are ASCII.
        reset_headers: forget the headers that it has, but for type and encoding.

    Returns:
        The URL.

    Raises:
        NotFound: there is no such object.
        BadRequest: a header is not allowed.
    """
    return _objects.publish(_objects.key_of(obj_path, prefix), True, check_headers(headers or {}), reset_headers).public


def is_public(obj_path: str, prefix: Prefix = None) -> str | bool:
    """The URL of an object, or False where it is not public.

    Raises:
        NotFound: there is no such object.
    """
    return _objects.get(_objects.key_of(obj_path, prefix)).public or False


def make_private(obj_path: str, prefix: Prefix = None) -> None:
    """Let nobody else get an object any more, from the next request on.

    Raises:
        NotFound: there is no such object.
    """
    _objects.publish(_objects.key_of(obj_path, prefix), False)


def public_url_folder() -> str:
    """The URL below which public objects of this account are, by their keys. It ends in ``/``."""
    return str(_objects.totals()["public"])
