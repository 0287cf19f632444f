"""The client's side of the home: ``cloudconf.py`` says which server and key, ``credentials/<key>/cloudauth`` the secret."""

from __future__ import annotations

import ast
import configparser
import io
import re
from pathlib import Path
from urllib.parse import urlsplit

from picloud.server.address import in_use, is_loopback
from picloud.server.home import make_folder, write_private

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
    write_secret(home, key, secret)
    configure(home, api_key=str(key), url=url, fingerprint=fingerprint or "")


def write_secret(home: Path, key: int | str, secret: str) -> None:
    """Store the secret of a key (0600), whether or not the client uses it now."""
    path = _auth(home, key)
    make_folder(path.parent)
    parser = configparser.ConfigParser(interpolation=None)
    parser["ApiKey"] = {"key": str(key), "secretkey": secret}
    text = io.StringIO()
    parser.write(text)
    write_private(path, text.getvalue().encode())


def secret_of(home: Path, key: int | str) -> str:
    """The stored secret of a key; "" if there is none."""
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read(_auth(home, key))
        return parser["ApiKey"]["secretkey"]
    except (OSError, KeyError, configparser.Error):
        return ""


def other_server(home: Path, url: str, ours: bool) -> str:
    """The URL of another server that this user's client was set up for; "" if it may be pointed at us.

    A key that we do not know and a port of this machine that nobody serves any more are what a removed installation leaves.

    Args:
        home: of the client, and of the server that starts.
        url: where that one listens.
        ours: whether the client's key is one of that installation.
    """
    current = configuration(home).get("url", "").rstrip("/")
    place = urlsplit(current)
    if ours or current in ("", url):
        return ""
    gone = is_loopback(place.hostname or "") and not (place.port and in_use(place.port))
    return "" if gone else current


def _auth(home: Path, key: int | str) -> Path:
    return home / "credentials" / str(key) / "cloudauth"


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
