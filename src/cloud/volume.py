"""Volumes: folders that jobs mount, filled and read back by :func:`sync`.

    cloud.volume.create("data", "data")                 # jobs see it as /home/picloud/data
    cloud.volume.sync("points/", "data:points")         # only what differs travels
    cloud.call(fit, _vol="data")                        # what the job writes there stays there
    cloud.volume.sync("data:results", ".")

A path in a volume is written ``volume:path``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from cloud import _objects, _sync
from picloud.wire.error import BadRequest, NotFound
from picloud.wire.object import check_key
from picloud.wire.volume import check_mount, check_name, split

__all__ = ["create", "delete", "get_list", "ls", "mkdir", "rm", "sync"]


def get_list(name: str | Sequence[str] | None = None, desc: bool = False) -> list[dict[str, Any]]:
    """Your volumes.

    Args:
        name: only this one, or these.
        desc: with their descriptions.

    Returns:
        Dicts: name, mnt_path, created (datetime), objects, bytes, and host_path and read_only of those that show a folder of
        the server's machine.

    Raises:
        NotFound: one that is named is not there.
    """
    if name is None:
        found = _ask("GET", "")["volumes"]
    else:
        names = [name] if isinstance(name, str) else list(name)
        found = [_ask("GET", "?" + urlencode({"name": check_name(one)}))["volumes"][0] for one in names]
    return [_shown(one, desc) for one in found]


def _shown(one: dict[str, Any], desc: bool) -> dict[str, Any]:
    told = {
        "name": one["name"], "mnt_path": one["mount"], "created": datetime.fromtimestamp(one["created"] / 1000, UTC),
        "objects": one["objects"], "bytes": one["bytes"],
    }  # fmt: skip
    if one["host"]:
        told |= {"host_path": one["host"], "read_only": one["read_only"]}
    return told | ({"desc": one["description"]} if desc else {})


def _ask(method: str, path: str, body: Any = None) -> Any:
    return _objects.link().json(method, f"/v1/volume{path}", body)


def create(name: str, mount_path: str, desc: str | None = None, *, host_path: str | None = None, read_only: bool = False) -> None:
    """Make a volume.

    Args:
        name: 2 to 64 letters, digits, ``_``, ``.`` or ``-``.
        mount_path: where jobs see it: an absolute path, or one below ``/home/picloud``.
        desc: at most 1024 characters.
        host_path: show this folder of the server's machine, without a copy; the server's owner only.
        read_only: refuse changes of it.

    Raises:
        BadRequest: a name or path that cannot be.
        Conflict: there is one of that name, or one at that mount path.
        Forbidden: a folder of the machine is for its owner to show.
    """
    body = {"name": check_name(name), "mount_path": check_mount(mount_path), "description": desc or ""}
    _ask("POST", "", body | {"host_path": host_path or "", "read_only": bool(read_only)})


def delete(name: str) -> None:
    """Delete a volume with all that is in it. A folder of the host that it showed stays.

    Raises:
        NotFound: no such volume.
    """
    _ask("POST", "/delete", {"name": check_name(name)})


def sync(source: str | Sequence[str], dest: str, delete: bool = False) -> dict[str, int]:
    """Make one side like the other, by content: only files that differ travel.

    Args:
        source: a path, or several. As with rsync, ``folder`` brings the folder itself and ``folder/`` what is in it.
        dest: a folder. Paths of exactly one side are in a volume: ``volume:path``.
        delete: remove there what the source's folders do not have.

    Returns:
        How many files were ``sent`` and ``removed``, and the ``bytes`` that travelled.

    Raises:
        BadRequest: not exactly one side is in a volume.
        NotFound: no such volume, or nothing at a path in it.
        OSError: a file cannot be read or written.
        CloudException: a file was changed while it was sent.
    """
    sources = [source] if isinstance(source, str) else list(source)
    remote = [_is_remote(one) for one in sources]
    if not sources or len(set(remote)) != 1 or remote[0] == _is_remote(dest):
        hint = "for instance sync('points/', 'data:points')"
        raise BadRequest("exactly one side of a sync is in a volume, written volume:path", hint=hint)
    if remote[0]:
        return _sync.down([_Path(one) for one in sources], dest, bool(delete))._asdict()
    return _sync.up(sources, _Path(dest), bool(delete))._asdict()


def _is_remote(path: str) -> bool:
    name, colon, _ = path.partition(":")
    return bool(colon) and bool(name) and "/" not in name


class _Path(_sync.Remote):
    """A path in a volume."""

    def __init__(self, text: str) -> None:
        name, path = split(text)
        super().__init__(name, check_key(path, folder=True), text.endswith(("/", ":")))


def mkdir(volume_path: str | Iterable[str], parents: bool = False) -> None:
    """Make folders in a volume.

    Args:
        volume_path: ``volume:path``, or several.
        parents: also those above; one that is there already is no error.

    Raises:
        Conflict: there is something of that name.
        NotFound: the folder above is not there.
    """
    for one in _paths(volume_path):
        above = one.key.rpartition("/")[0]
        if not parents:
            if _sync.is_folder(one) or _objects.find([one.key], one.volume):
                raise BadRequest(f"{one} is there already", hint="parents=True is content with that")
            if above and not _sync.is_folder(_sync.Remote(one.volume, above)):
                raise NotFound(f"there is no folder {one.volume}:{above}", hint="parents=True makes it too")
        _objects.change("folder", check_key(one.key), volume=one.volume)


def ls(volume_path: str | Iterable[str], extended_info: bool = False) -> list[tuple[str, list[Any]]]:
    """What is in folders of a volume.

    Args:
        volume_path: ``volume:path`` of a folder or file, or several.
        extended_info: with ``size`` (bytes) and ``modified`` (datetime).

    Returns:
        For each path a pair: the path, and the entries, dicts with ``name`` (a folder's ends in ``/``).

    Raises:
        NotFound: there is nothing at a path.
    """
    return [(str(one), [_entry(found, extended_info) for found in _sync.level(one)]) for one in _paths(volume_path)]


def _entry(one: Any, extended: bool) -> dict[str, Any]:
    name = one.key.removesuffix("/").rpartition("/")[2] + "/" * one.key.endswith("/")
    if not extended:
        return {"name": name}
    return {"name": name, "size": one.size, "modified": datetime.fromtimestamp(one.modified / 1000, UTC)}


def rm(volume_path: str | Iterable[str], recursive: bool = False) -> None:
    """Remove files and folders of a volume.

    Args:
        volume_path: ``volume:path``, or several.
        recursive: also folders that are not empty.

    Raises:
        NotFound: there is nothing at a path.
        BadRequest: a folder is not empty.
    """
    for one in _paths(volume_path):
        if one.key and _objects.find([one.key], one.volume):
            _objects.remove([one.key], one.volume)
            continue
        if _sync.level(one) and not recursive:
            raise BadRequest(f"the folder {one} is not empty", hint="recursive=True removes what is in it")
        _objects.remove_below(one.key, one.volume)


def _paths(given: str | Iterable[str]) -> list[_Path]:
    return [_Path(one) for one in ([given] if isinstance(given, str) else given)]
