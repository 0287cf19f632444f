"""Container images as bases: an OCI image layout, as a folder or an archive, or what ``docker save`` writes.

    load(source, out) -> Base

All of the image's layers become one. Nothing is fetched from anywhere; what the image says of itself is checked.
"""

from __future__ import annotations

import hashlib
import json
import platform
import re
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from picloud.image import base
from picloud.image.base import Base, Progress
from picloud.sandbox import unpack
from picloud.sandbox.tar import PIECE
from picloud.sandbox.userns import Ids
from picloud.wire.error import BadRequest

MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386", "ppc64le": "ppc64le", "s390x": "s390x"}
"""What images call processors."""
DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
TAG = "org.opencontainers.image.ref.name"
NESTED = 4
"""So deep may one index lead to another."""
JSON_SIZE = 4 << 20
"""Bytes of a manifest or configuration."""


class Found(NamedTuple):
    """One image of an archive."""

    config: dict[str, Any]
    layers: list[Path]  # the lowest first, verified


def load(source: Path, out: Path, *, tag: str = "", ids: Ids | None = None, progress: Progress = lambda line: None) -> Base:
    """Make a base of a container image.

    Args:
        source: an OCI image layout (folder or tar), or a ``docker save`` tar; tars may be compressed by gzip or zstd.
        out: the layer's file to write.
        tag: which image, where there are several.
        ids: this machine's way to user namespaces; found out if not given.
        progress: gets what is being done.

    Raises:
        BadRequest: it is no image, is damaged, is for other processors, or several are there and ``tag`` names none.
        StorageFull: the disk is full.
    """
    with _folder(source, out.parent) as folder:
        progress("reading the manifest")
        found = _layout(folder, tag) if (folder / "index.json").is_file() else _saved(folder, tag)
        _check(found.config)
        progress(f"laying out {len(found.layers)} layers")
        return base.build(found.layers, out, ids=ids, path=_path(found.config), origin=f"image {tag or source.name}")


@contextmanager
def _folder(source: Path, near: Path) -> Iterator[Path]:
    """The image's files in a folder."""
    if source.is_dir():
        yield source
        return
    if not source.is_file():
        raise BadRequest(
            f"there is no image at {source}", hint="a folder or tar as skopeo copy, podman save or docker save write"
        )
    with tempfile.TemporaryDirectory(prefix=".oci-", dir=near) as name:
        with source.open("rb") as file, base.plain(file) as stream:
            _extract(stream, Path(name))
        yield Path(name)


def _extract(stream: Any, folder: Path) -> None:
    """Files alone come out; docker's archives also link one layer to another, by a name that climbs."""
    try:
        with tarfile.open(fileobj=stream, mode="r|") as tar:
            for member in tar:
                source = tar.extractfile(member) if member.isreg() else None
                if source:
                    target = folder / unpack.checked(member.name)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    with target.open("xb") as file:
                        shutil.copyfileobj(source, file, PIECE)
                elif member.issym():
                    _alias(folder, unpack.checked(member.name), member.linkname)
    except (*unpack.BROKEN, *unpack.CROSSED, FileExistsError) as error:
        raise BadRequest(f"this is no archive of an image: {error}") from error


def _alias(folder: Path, name: str, target: str) -> None:
    """A layer that is the same as one before it: ``../ID/layer.tar``."""
    found = re.fullmatch(r"\.\./([0-9a-f]{64}/layer\.tar)", target)
    if found and (folder / found[1]).is_file():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).hardlink_to(folder / found[1])


def _layout(folder: Path, tag: str) -> Found:
    manifest = _manifest(folder, _json(folder / "index.json"), tag, NESTED)
    config = _json(_blob(folder, manifest.get("config", {})))
    return Found(config, [_blob(folder, part) for part in manifest.get("layers", [])])


def _manifest(folder: Path, index: dict[str, Any], tag: str, deep: int) -> dict[str, Any]:
    """The manifest that the tag means, or the only one for this machine."""
    offers = [offer for offer in index.get("manifests", []) if isinstance(offer, dict)]
    named = [offer for offer in offers if tag and _tag(offer) in (tag, tag.rpartition(":")[2])]
    fitting = [offer for offer in named or offers if _fits(offer.get("platform") or {})]
    if tag and not named and any(_tag(offer) for offer in offers):
        raise BadRequest(f"there is no image {tag!r}", hint=f"there is {', '.join(filter(None, map(_tag, offers)))}")
    if len(fitting) != 1:
        names = ", ".join(filter(None, map(_tag, fitting))) or "none that runs here"
        raise BadRequest(f"this holds {len(fitting)} images for this machine: {names}", hint="name one by its tag")
    found: dict[str, Any] = _json(_blob(folder, fitting[0]))
    if "manifests" in found:
        if not deep:
            raise BadRequest("this is no image: its indexes have no end")
        return _manifest(folder, found, "", deep - 1)
    return found


def _tag(offer: dict[str, Any]) -> str:
    return str((offer.get("annotations") or {}).get(TAG, ""))


def _fits(wanted: dict[str, Any]) -> bool:
    own = MACHINES.get(platform.machine(), platform.machine())
    return str(wanted.get("os", "linux")) == "linux" and str(wanted.get("architecture", own)) == own


def _saved(folder: Path, tag: str) -> Found:
    """What ``docker save`` wrote before it knew OCI's layout."""
    if not (folder / "manifest.json").is_file():
        raise BadRequest("this is no image: it has neither index.json nor manifest.json")
    offers = _json(folder / "manifest.json")
    fitting = [offer for offer in offers if not tag or tag in (offer.get("RepoTags") or [])]
    if len(fitting) != 1:
        names = ", ".join(name for offer in offers for name in offer.get("RepoTags") or [])
        raise BadRequest(f"this holds {len(offers)} images: {names}", hint="name one by its tag")
    config = _json(_inside(folder, str(fitting[0].get("Config", ""))))
    layers = [_inside(folder, str(name)) for name in fitting[0].get("Layers", [])]
    for layer, digest in zip(layers, (config.get("rootfs") or {}).get("diff_ids", []), strict=False):
        with layer.open("rb") as file, base.plain(file) as stream:
            _verify(stream, str(digest))
    return Found(config, layers)


def _blob(folder: Path, part: dict[str, Any]) -> Path:
    """The file of a digest, whose contents are of that digest."""
    digest = str(part.get("digest", ""))
    named = DIGEST.fullmatch(digest)
    if not named:
        raise BadRequest(f"this is no image that can be checked: its parts are named {digest!r}", hint="digests are sha256")
    path = _inside(folder, f"blobs/sha256/{named[1]}")
    with path.open("rb") as file:
        _verify(file, digest)
    return path


def _verify(stream: Any, digest: str) -> None:
    found = hashlib.sha256()
    while data := stream.read(PIECE):
        found.update(data)
    if f"sha256:{found.hexdigest()}" != digest:
        raise BadRequest(f"the image is damaged: a part should be {digest}")


def _inside(folder: Path, name: str) -> Path:
    path = folder / unpack.checked(name)
    if not path.is_file() or path.is_symlink():
        raise BadRequest(f"the image is not whole: {name or 'its configuration'} is missing")
    return path


def _json(path: Path) -> Any:
    try:
        with path.open("rb") as file:
            return json.loads(file.read(JSON_SIZE))
    except ValueError as error:
        raise BadRequest(f"the image is damaged: {path.name} is no JSON") from error


def _check(config: dict[str, Any]) -> None:
    if not _fits(config):
        system, kind = config.get("os", "?"), config.get("architecture", "?")
        raise BadRequest(f"the image is for {system} on {kind}, and this machine is {platform.machine()}")


def _path(config: dict[str, Any]) -> str:
    """PATH as the image sets it."""
    for line in (config.get("config") or {}).get("Env") or []:
        if str(line).startswith("PATH="):
            return str(line).removeprefix("PATH=")
    return base.PATH
