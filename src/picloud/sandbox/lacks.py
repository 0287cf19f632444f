"""What a machine cannot give to sandboxes, where jobs get by without it: what is missing, and what helps."""

from __future__ import annotations

import os
import shutil

from msgspec import Struct

TUN = "/dev/net/tun"
FUSE = "/dev/fuse"
REACH = "The job has no network"
SHARED = "Isolation is partial (rung C): sandboxes have one user id, the server's own; picloud doctor tells what helps"
OPEN = "This job is not isolated (rung D): it can read what the server's user can, and its limits are only watched"


class Missing(Struct, frozen=True):
    """Something that is not there."""

    text: str
    remedy: str


def network(root: bool) -> Missing | None:
    """Why sandboxes get no network here; None: they do.

    Args:
        root: we are the machine's root, who may open the device whatever its mode.
    """
    if shutil.which("slirp4netns") is None:
        return Missing("slirp4netns is not installed: jobs have no network", "apt install slirp4netns")
    if not os.path.exists(TUN):
        return Missing(f"{TUN} is missing: jobs have no network", "modprobe tun")
    if not root and not os.access(TUN, os.R_OK | os.W_OK):
        return Missing(f"{TUN} may not be opened by this user: jobs have no network", f"chmod 666 {TUN} (as root)")
    return None


def fuse() -> Missing | None:
    """Why jobs cannot see their bucket here; None: they do."""
    if not os.path.exists(FUSE):
        return Missing(f"{FUSE} is missing: jobs have no /bucket and no volumes", "modprobe fuse")
    if not os.access(FUSE, os.R_OK | os.W_OK) or os.stat(FUSE).st_mode & 0o006 != 0o006:
        return Missing(
            f"{FUSE} may not be opened by everybody: jobs have no /bucket and no volumes", f"chmod 666 {FUSE} (as root)"
        )
    return None


def told(rung: str, wanted: bool, network: bool) -> list[str]:
    """What a job's Pi log tells of it, a sentence each.

    Args:
        wanted: whether the settings give jobs a network.
        network: whether they get one.
    """
    found = [{"C": SHARED, "D": OPEN}[rung]] if rung in "CD" else []
    if wanted and not network:
        found.append(f"{REACH}: this host lacks what it takes; picloud doctor tells what helps")
    if rung == "D" or fuse() is not None:
        found.append("The job has no /bucket: this host lacks what it takes; picloud doctor tells what helps")
    if not wanted and rung != "D":
        found.append(f"{REACH}: the setting network is off")
    return found
