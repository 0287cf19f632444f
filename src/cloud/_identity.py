"""The key pair of this user's API key: made once on this machine; the server learns only its public half."""

from __future__ import annotations

import os
from typing import Any

from cloud import _config, _session
from picloud.wire.error import CloudException, SetupError

NAME = "id_rsa"
"""Of the private key's file; older than the kind of key in it."""
KNOWN = "known_hosts"
LINES = 100
"""Gateways that are remembered."""


def path() -> str:
    """The file of the private key; made, and made known to the server, where there is none.

    Raises:
        CloudException: jobs have no key pair.
        SetupError: it cannot be made here.
    """
    if _session.running_on_cloud() or _session.is_simulated():
        raise CloudException("only a machine that is set up for a server has a key pair", hint="run `picloud setup` there")
    session = _session.session()
    found = os.path.join(_config.folder(), "credentials", session.key, NAME)
    if not os.path.exists(found):
        _make(session, found)
    return found


def _make(session: Any, target: str) -> None:
    """Make it aside, tell the server, then move it into place: a file that is there works."""
    import subprocess
    import tempfile

    os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=os.path.dirname(target)) as folder:
        made = os.path.join(folder, NAME)
        words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"picloud {session.key}", "-f", made]
        try:
            subprocess.run(words, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise SetupError(f"no key pair could be made: {error}", hint="install OpenSSH's client") from error
        with open(f"{made}.pub", encoding="ascii") as file:
            public = " ".join(file.read().split()[:2])
        session.link.json("POST", "/v1/key/ssh", {"api_key": int(session.key), "public": public})
        os.replace(made, target)


def command(info: dict[str, Any], *flags: str) -> list[str]:
    """The OpenSSH client's command line for a job, up to the words to run there.

    Args:
        info: as :func:`cloud.shortcuts.ssh.get_ssh_info` tells.
        flags: further ones.

    Raises:
        SetupError: there is no such program.
    """
    import shutil

    program = shutil.which("ssh")
    if program is None:
        raise SetupError("there is no ssh on this machine", hint="install OpenSSH's client (package openssh-client)")
    return [program, *options(info), *flags, "-p", str(info["port"]), f"{info['username']}@{info['address']}"]


def options(info: dict[str, Any]) -> list[str]:
    """Options by which any program of OpenSSH finds key and gateway, whatever the user's own configuration says."""
    known = os.path.join(os.path.dirname(info["identity"]), KNOWN)
    settings = {
        "IdentityFile": f'"{info["identity"]}"',
        "IdentitiesOnly": "yes",
        "PasswordAuthentication": "no",
        "UserKnownHostsFile": f'"{known}"',
        "StrictHostKeyChecking": "yes",
        "ServerAliveInterval": "30",
    }
    return ["-F", "none", *(word for name, value in settings.items() for word in ("-o", f"{name}={value}"))]


def remember(identity: str, address: str, port: int, key: str) -> None:
    """Write down the gateway's key, as the server itself has told it, beside the private key."""
    known = os.path.join(os.path.dirname(identity), KNOWN)
    name = f"[{address}]:{port}"
    try:
        with open(known, encoding="ascii") as file:
            before = file.read()
    except OSError:
        before = ""
    lines = [line for line in before.splitlines() if line.split(" ")[0] != name]
    text = "\n".join([*lines[-LINES:], f"{name} {key}"]) + "\n"
    if text != before:
        import tempfile

        handle, made = tempfile.mkstemp(dir=os.path.dirname(known))
        with open(handle, "w", encoding="ascii") as file:
            file.write(text)
        os.replace(made, known)
