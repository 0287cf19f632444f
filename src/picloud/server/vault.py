"""What seals secrets: AES-256-GCM, with keys that rest in a file of the home and nowhere else.

``secrets.key`` holds a key a line. The first seals; each may open, so a new first line rotates the key, and a line of another
home opens what was restored from there. A sealed value holds its account and name: moved to another row it cannot be opened.

Values are opened when leases are handed to a worker, and are in no other answer of the server.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from picloud.server import home as homes
from picloud.store.act import lease
from picloud.store.db import Transaction
from picloud.store.secret import secret as store
from picloud.store.secret.secret import Sealed
from picloud.wire.error import SetupError
from picloud.wire.message import Spec

SIZE, NONCE = 32, 12
"""Bytes of a key, and of what is never the same for two values."""


class Vault:
    """Seals and opens; the file is read at the first need, and made at the first value.

    Args:
        path: of the file with the keys.
        random: so many bytes that nobody can guess.
    """

    def __init__(self, path: Path, random: Callable[[int], bytes] = os.urandom) -> None:
        self._path, self._random = path, random
        self._ring: dict[str, bytes] = {}  # by the names that rows tell; the first one seals

    def seal(self, account: int, name: str, values: dict[str, str]) -> Sealed:
        """Values as they rest in the store.

        Raises:
            SetupError: the file with the keys is damaged or cannot be written.
        """
        ring = self._keys() or self._made()
        named, key = next(iter(ring.items()))
        nonce = self._random(NONCE)
        data = nonce + _cipher(key).encrypt(nonce, msgspec.json.encode(values), _place(account, name))
        return Sealed(list(values), named, data)

    def opens(self, key: str) -> bool:
        """Whether a value that was sealed by the key of this name can be opened here."""
        return key in self._keys()

    def open(self, account: int, name: str, sealed: Sealed) -> dict[str, str] | None:
        """The values; None where no key of this home opens them."""
        key = self._keys().get(sealed.key)
        if key is None:
            return None
        try:
            text = _cipher(key).decrypt(sealed.data[:NONCE], sealed.data[NONCE:], _place(account, name))
        except (InvalidTag, ValueError):
            return None
        return msgspec.json.decode(text, type=dict[str, str])

    def specs(self, tx: Transaction, submissions: list[int]) -> list[Spec]:
        """What the jobs of these submissions have in common, with their secrets as these are now."""
        found = lease.specs(tx, submissions)
        for spec in found:
            if spec.options.secrets:
                self._fill(tx, spec)
        return found

    def _fill(self, tx: Transaction, spec: Spec) -> None:
        """Put the values in, or why that cannot be: that must fail this spec alone."""
        there = store.sealed(tx, spec.account, spec.options.secrets)
        try:
            for name in spec.options.secrets:
                if name not in there:
                    spec.refused = f"the secret {name} is not there any more"
                elif (values := self.open(spec.account, name, there[name])) is None:
                    spec.refused = f"the secret {name} cannot be opened: its key is not in this home"
                else:
                    spec.secrets |= values
        except SetupError as error:
            spec.refused = error.parameter

    def _keys(self) -> dict[str, bytes]:
        if not self._ring and self._path.exists():
            self._ring = self._read()
        return self._ring

    def _read(self) -> dict[str, bytes]:
        hint = f"put the right {self._path.name} there, or move it away and set the secrets anew"
        try:
            keys = [base64.b64decode(line, validate=True) for line in self._path.read_bytes().split()]
        except (OSError, binascii.Error) as error:
            raise SetupError(f"{self._path} cannot be read: {error}", hint=hint) from error
        if any(len(key) != SIZE for key in keys):
            raise SetupError(f"{self._path} is damaged", hint=hint)
        return {_name(key): key for key in keys}

    def _made(self) -> dict[str, bytes]:
        try:
            homes.write_private(self._path, base64.b64encode(self._random(SIZE)) + b"\n")
        except OSError as error:
            raise SetupError(f"{self._path} cannot be written: {error}") from error
        return self._keys()


def _name(key: bytes) -> str:
    """What rows tell of a key."""
    return hashlib.sha256(b"picloud vault" + key).hexdigest()[:16]


def _place(account: int, name: str) -> bytes:
    return f"{account}/{name}".encode()


def _cipher(key: bytes) -> AESGCM:
    return AESGCM(key)
