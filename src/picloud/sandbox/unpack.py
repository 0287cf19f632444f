"""A layer's tar laid out as a folder.

    enter_folder(fd)                             this process can touch nothing else any more
    unpack(stream) -> Unpacked(digest, files, size)

The tar is hostile: it is laid out by a process whose root folder is the new folder, so that no name, link or race in it
leads elsewhere. Only files, folders, links, pipes and overlayfs's own marks come out.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tarfile
from typing import IO, BinaryIO, NamedTuple, cast

import zstandard

from picloud.sandbox.tar import KEPT_XATTRS, PIECE
from picloud.wire.error import BadRequest

XATTR = "SCHILY.xattr."
WINDOW = 1 << 27
"""Bytes of memory that decompressing may ask for."""
BROKEN = (zstandard.ZstdError, tarfile.TarError, EOFError, ValueError)
"""What reading a tar that is cut short, or that is none, raises."""
CROSSED = (FileExistsError, FileNotFoundError, NotADirectoryError, IsADirectoryError)
"""What laying out a tar raises that contradicts itself: links to nothing, files that are folders too."""
REMOVED = ".wh."
"""OCI: a file of this beginning says that the rest of its name was removed."""
EMPTIED = ".wh..wh..opq"
"""OCI: its folder shows nothing of the layers below."""


class Unpacked(NamedTuple):
    """What was laid out."""

    digest: str  # sha256 of the compressed bytes that were read
    files: int
    size: int  # bytes of the files


class Hashed:
    """A file that is hashed while it is read."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self.hash = stream, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """As of any file."""
        data = self._stream.read(size)
        self.hash.update(data)
        return data

    def digest(self) -> str:
        """sha256 of the whole: what follows the tar counts."""
        while self.read(PIECE):
            pass
        return self.hash.hexdigest()


def enter_folder(fd: int) -> None:
    """Make a folder the root of this process, for good. Raises OSError without the right to."""
    os.fchdir(fd)
    os.chroot(".")
    os.umask(0)


def unpack(stream: BinaryIO, *, single: bool = False) -> Unpacked:
    """Lay out a compressed tar in the root folder of this process, which is empty.

    A stream that is cut short can look whole: compare the digest.

    Args:
        stream: the compressed tar.
        single: this process can give files to itself alone.

    Raises:
        BadRequest: it is no layer, or holds what a layer cannot hold.
        OSError: it could not be written, the disk being full for instance.
    """
    source = Hashed(stream)
    layout = Layout(single=single)
    try:
        reader = zstandard.ZstdDecompressor(max_window_size=WINDOW).stream_reader(cast(BinaryIO, source), read_size=PIECE)
        with reader as plain:
            layout.read(plain)
    except (*BROKEN, *CROSSED) as error:
        raise BadRequest(f"this is not a whole layer: {error}") from error
    return Unpacked(source.digest(), layout.files, layout.size)


class Layout:
    """Tars laid out in the root folder of this process.

    Args:
        single: all files become this process's own.
        over: what is there already is replaced, and OCI's marks of removal are obeyed; else a name comes once.
    """

    def __init__(self, *, single: bool = False, over: bool = False) -> None:
        self._single, self._over = single, over
        self.files = self.size = 0

    def read(self, plain: IO[bytes]) -> None:
        """Lay out one tar from a stream that can seek forwards. Raises as :func:`unpack`, and what is :data:`BROKEN`."""
        times: dict[str, float] = {}
        made: set[str] = set()
        with tarfile.open(fileobj=plain, mode="r:") as tar:
            for member in tar:
                path = checked(member.name)
                if self._over and self._mark(path, made):
                    continue
                self._place(plain, member, path or ".")
                made.add(path)
                if member.isdir():
                    times[path or "."] = member.mtime
                self.files += 1
                tar.members.clear()  # type: ignore[attr-defined]  # it would keep them all
        for path, time in times.items():  # last: a folder's time changes with what comes into it
            if os.path.isdir(path) and not os.path.islink(path):
                os.utime(path, (time, time))

    def _mark(self, path: str, made: set[str]) -> bool:
        """Obey an OCI mark of removal; whether it was one. Marks are about the layers below, not about this one."""
        folder, name = os.path.split(path)
        if name == EMPTIED:
            for inner in os.listdir(folder or ".") if os.path.isdir(folder or ".") else []:
                if os.path.join(folder, inner) not in made:
                    _remove(os.path.join(folder, inner))
        elif name.startswith(REMOVED):
            rest = name.removeprefix(REMOVED)
            if rest in ("", ".", ".."):
                raise BadRequest(f"{path!r} marks nothing")
            if os.path.join(folder, rest) not in made:
                _remove(os.path.join(folder, rest))
        return name.startswith(REMOVED)

    def _place(self, plain: IO[bytes], member: tarfile.TarInfo, path: str) -> None:
        try:
            self._make(plain, member, path)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(path) or ".", 0o755, exist_ok=True)
            self._make(plain, member, path)
        except FileExistsError:
            if not self._over:
                raise BadRequest(f"{path!r} is in the layer twice") from None
            _remove(path)
            self._make(plain, member, path)
        if not member.islnk():
            self._dress(member, path)

    def _make(self, plain: IO[bytes], member: tarfile.TarInfo, path: str) -> None:
        if member.isreg() and member.sparse is None:
            self._file(plain, member, path)
        elif member.isdir():
            if not _is_folder(path):
                os.mkdir(path, 0o700)
        elif member.issym():
            os.symlink(member.linkname, path)
        elif member.islnk():
            os.link(checked(member.linkname), path, follow_symlinks=False)
        elif member.isfifo():
            os.mkfifo(path, 0o600)
        elif member.ischr() and (member.devmajor, member.devminor) == (0, 0):
            os.mknod(path, stat.S_IFCHR, 0)
        else:
            raise BadRequest(f"{path!r} is a device node or of an odd kind; a layer cannot hold it")

    def _file(self, plain: IO[bytes], member: tarfile.TarInfo, path: str) -> None:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            left = member.size
            while left:  # the stream stands where the contents begin
                data = plain.read(min(left, PIECE))
                if not data:
                    raise EOFError("it ends within a file")
                left -= len(data)
                while data:  # a disk that fills takes a part first, and then says so
                    data = data[os.write(fd, data) :]
        finally:
            os.close(fd)
        self.size += member.size

    def _dress(self, member: tarfile.TarInfo, path: str) -> None:
        """Owner, mode, marks and time, in this order: changing the owner takes set-uid bits and capabilities away."""
        if not self._single:
            os.lchown(path, member.uid, member.gid)
        if not member.issym():
            os.chmod(path, stat.S_IMODE(member.mode))
        for key, value in member.pax_headers.items():
            name = key.removeprefix(XATTR)
            if key.startswith(XATTR) and name in KEPT_XATTRS and (member.isreg() or member.isdir()):
                os.setxattr(path, name, value.encode("utf-8", "surrogateescape"), follow_symlinks=False)
        os.utime(path, (member.mtime, member.mtime), follow_symlinks=False)


def checked(name: str) -> str:
    """A tar's name as a path without a slash before it; "" is the root folder itself.

    Raises:
        BadRequest: it is absolute in a way that no layer is, or climbs.
    """
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts or "\0" in name or name.startswith("/"):
        raise BadRequest(f"{name!r} leads out of the layer")
    return "/".join(parts)


def _is_folder(path: str) -> bool:
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except FileNotFoundError:
        return False


def _remove(path: str) -> None:
    if _is_folder(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)
