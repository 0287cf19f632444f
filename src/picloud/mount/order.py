"""What a mount is told when it starts."""

from __future__ import annotations

from msgspec import Struct


class Order(Struct, omit_defaults=True, forbid_unknown_fields=True):
    """Where, what, and with which right."""

    url: str
    folder: str
    cache: str  # folder of blocks and of what is written; shared by the mounts of one user
    key: str = ""
    secret: str = ""
    fingerprint: str = ""
    door: str = ""  # a job's socket to the server, instead of a key
    volume: str = ""  # "" = the bucket
    read_only: bool = False
    allow_other: bool = False  # other users than the one who mounts may enter
    uid: int = 0  # to whom everything belongs
    gid: int = 0
    device: int = -1  # an open /dev/fuse that is mounted already, its first question answered
    page: int = -1  # where jobs see what is not stored yet (picloud.wire.barrier)
    at: int = 0
    cache_bytes: int = 4 << 30
    lost: str = ""  # file that is told at the end what could not be stored: a JSON list of keys
    hold: float = 4 * 3600.0  # seconds between two times that the server is told what is open
