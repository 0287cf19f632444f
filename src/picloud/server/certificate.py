"""The certificate of a server that other machines may reach, made at the first ``picloud up --host``."""

from __future__ import annotations

from pathlib import Path


def certificate(home: Path, host: str) -> tuple[Path, Path, str]:
    """The certificate for ``host``, made if there is none that names it and is still good.

    Returns:
        path of the certificate, path of its key (both PEM), sha256 fingerprint of the certificate (hex).
    """
    from picloud.server.selfsigned import certificate as made  # loads cryptography, which most starts do not need

    return made(home, host)
