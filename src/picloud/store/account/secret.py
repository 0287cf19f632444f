"""Random secrets: shown once, kept as sha256, compared in constant time."""

from __future__ import annotations

import hashlib
import secrets


def new() -> str:
    """A secret that fits into a URL."""
    return secrets.token_urlsafe(32)


def digest(secret: str) -> bytes:
    """What is kept of it; they are too long and too random to be guessed, so that a quick hash will do."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
