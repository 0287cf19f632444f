"""The client's side of the home: ``cloudconf.py`` says which server and key, ``credentials/<key>/cloudauth`` the secret."""

from __future__ import annotations

import ast
import configparser
import io
import re
from pathlib import Path
from urllib.parse import urlsplit

from picloud.server.address import is_loopback
from picloud.server.home import write_private

CONFIGURATION = "cloudconf.py"
_ASSIGNMENT = r"^{name}[ \t]*=.*$"


def write_owner_credentials(home: Path, key: int | str, secret: str, url: str, fingerprint: str | None = None) -> None:
    """Let the client of this user use a server: its secret (0600), and key, URL and fingerprint in ``cloudconf.py``.

    Args:
        home: the client's ``getconfigpath()``.
        key: numeric API key.
        secret: its secret.
        url: of the server.
        fingerprint: sha256 of the server's certificate, hex; None where the client trusts it by other means.
    """
    folder = home / "credentials" / str(key)
    for path in (home, folder.parent, folder):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    parser = configparser.ConfigParser(interpolation=None)
    parser["ApiKey"] = {"key": str(key), "secretkey": secret}
    text = io.StringIO()
    parser.write(text)
    write_private(folder / "cloudauth", text.getvalue().encode())
    configure(home, api_key=str(key), url=url, fingerprint=fingerprint or "")


def point_client(home: Path, url: str) -> None:
    """Tell the owner's client a new address of its own server (a free port differs from start to start).

    A client that was set up for a server elsewhere is left alone.
    """
    current = configuration(home).get("url", "")
    if current != url and (not current or is_loopback(urlsplit(current).hostname or "")):
        configure(home, url=url, fingerprint="")


def configuration(home: Path) -> dict[str, str]:
    """The plain string assignments of ``cloudconf.py``; empty if there is no such file."""
    try:
        text = (home / CONFIGURATION).read_text()
    except FileNotFoundError:
        return {}
    found = {}
    for name, value in re.findall(r"^(\w+)[ \t]*=[ \t]*(.+)$", text, re.MULTILINE):
        try:
            plain = ast.literal_eval(value.strip())
        except (ValueError, SyntaxError):
            continue
        if isinstance(plain, str):
            found[name] = plain
    return found


def configure(home: Path, **values: str) -> None:
    """Set assignments in ``cloudconf.py`` and leave every other line as the user wrote it."""
    path = home / CONFIGURATION
    text = path.read_text() if path.exists() else '"""Options of the PiCloud client; see docs/reference/configuration."""\n\n'
    for name, value in values.items():
        line, pattern = f"{name} = {value!r}", re.compile(_ASSIGNMENT.format(name=re.escape(name)), re.MULTILINE)
        if pattern.search(text):
            text = pattern.sub(line.replace("\\", r"\\"), text)
        elif value:
            text = text.rstrip("\n") + f"\n{line}\n" if text.strip() else f"{line}\n"
    write_private(path, text.encode())
