"""Key pairs for ssh: the gateway's own, and the one of the owner of this home."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from picloud.server.home import make_folder, write_private

IDENTITY = "id_rsa"
"""Name of the private key beside an API key's secret; the name is older than the kind of key."""


def host_key(home: Path) -> Path:
    """The file of the gateway's key, made at the first start: clients remember it."""
    path = home / "ssh" / "host_ed25519"
    if not path.exists():
        make_folder(path.parent)
        _make(path)
    return path


def owner_key(home: Path, key: int | str) -> str:
    """The public key that goes with the private one in the folder of an API key; made if there is none."""
    path = home / "credentials" / str(key) / IDENTITY
    if not path.exists():
        make_folder(path.parent)
        _make(path)
    return public_of(path)


def public_of(path: Path) -> str:
    """The public key of the private one in a file, as one line."""
    private = serialization.load_ssh_private_key(path.read_bytes(), None)
    public = private.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return public.decode("ascii")


def _make(path: Path) -> None:
    made = Ed25519PrivateKey.generate()
    text = made.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption())
    write_private(path, text)
