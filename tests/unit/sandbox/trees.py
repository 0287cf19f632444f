"""Folders and tars for the tests of layers."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import zstandard

from picloud.sandbox import layer, userns
from picloud.sandbox.pack import Packed
from picloud.sandbox.tar import EPOCH


def own_ids() -> userns.Ids | None:
    """How layers are packed and unpacked by this user: files of a root's layers have the ids they have inside."""
    ids = userns.ids_for()
    return None if ids.root else ids


def packed(out: Path, *roots: tuple[str, Path]) -> Packed:
    """Pack folders as this user."""
    return layer.pack_layer(roots, out, own_ids())


def inside(script: str, folder: Path) -> str:
    """Run a shell script as root of a sandbox, in a folder; what it prints."""
    ids = own_ids()
    argv = ["sh", "-euc", f'cd "$0"; {script}', str(folder)]
    done = userns.run(argv, ids, capture_output=True) if ids else subprocess.run(argv, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode()


def tar_of(*members: tuple[str, dict[str, Any]], data: bytes = b"") -> bytes:
    """A compressed tar of made-up members; ``data`` is the contents of files."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, fields in members:
            info = tarfile.TarInfo(name)
            info.mtime, info.size = EPOCH, len(data) if fields.get("type", tarfile.REGTYPE) == tarfile.REGTYPE else 0
            for key, value in fields.items():
                setattr(info, key, value)
            tar.addfile(info, io.BytesIO(data) if info.size else None)
    return zstandard.compress(plain.getvalue())


def copy_of(file: Path) -> Callable[[str, Path], None]:
    """A download that copies a file."""
    return lambda digest, place: shutil.copyfile(file, place) and None


def left(folder: Path) -> Sequence[str]:
    """What a shelf holds besides locks."""
    return sorted(name for name in os.listdir(folder) if not name.startswith(".lock-"))
