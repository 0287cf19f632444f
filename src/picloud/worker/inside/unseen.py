"""Files of the host that a job looks for in vain, because it sees a file system of its own: what the Pi log says then."""

from __future__ import annotations

import errno
import os
import re
import sys

VISIBLE = (
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/etc",
    "/opt",
    "/dev",
    "/proc",
    "/sys",
    "/run",
    "/bucket",
)
"""What is in a job as elsewhere, or belongs to it alone: a file that is missing there is simply missing."""
OWN = ("/tmp", "/var/tmp")
_MISSING = re.compile(r"(/[^\s:'\"`]+)['\"`]?: No such file or directory")
_NUMBERS = (errno.ENOENT, errno.EACCES, errno.ENOTDIR, errno.EROFS)
_CHAIN = 5  # exceptions behind exceptions that are looked at
_HELP = (
    "put it into your bucket (`picloud bucket put`; jobs find it in /bucket) or into a volume (`picloud volume sync`, then "
    "_vol=...), or pass it as an argument\n"
)


def advice(error: BaseException, home: str) -> str:
    """A line for the Pi log; "" if the failure has nothing to do with it.

    Args:
        error: how user code failed.
        home: the job's home folder.
    """
    seen: BaseException | None = error
    for _ in range(_CHAIN):
        if seen is None:
            break
        name = _name(seen)
        if name and (told := _told(name, home)):
            return told
        seen = seen.__cause__ or seen.__context__
    return ""


def _name(error: BaseException) -> str:
    """The file that was not there."""
    if isinstance(error, OSError) and error.errno in _NUMBERS:
        name = error.filename
        return os.fsdecode(name) if isinstance(name, str | bytes) else ""
    facts = getattr(error, "facts", None)
    said = facts.get("stderr") if isinstance(facts, dict) else None  # of a program
    found = _MISSING.search(said) if isinstance(said, str) else None
    return found[1] if found else ""


def _told(name: str, home: str) -> str:
    if not name.startswith("/"):
        return f"{name}: jobs start in a home of their own, {home}, not in the folder that they were called from; {_HELP}"
    name = os.path.normpath(name)
    if _under(name, OWN):
        return f"{name}: a job has its own {name[: name.index('/tmp') + 4]}, not that of the machine it was called from; {_HELP}"
    if _under(name, (*VISIBLE, home, sys.prefix, sys.base_prefix)):
        return ""
    return f"{name}: jobs do not see the folders of the machine they run on; {_HELP}"


def _under(name: str, folders: tuple[str, ...]) -> bool:
    return any(name == one or name.startswith(f"{one}/") for one in folders)
