"""Root file systems out of Debian's packages, with mmdebstrap: as root, or in a user namespace without.

build("bookworm", out) -> Base
"""

from __future__ import annotations

import configparser
import os
import re
import shlex
import shutil
import subprocess
import tempfile
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from picloud.image import base
from picloud.image.base import Base, Progress
from picloud.sandbox import userns
from picloud.sandbox.tar import EPOCH
from picloud.sandbox.userns import Ids
from picloud.wire.error import BadRequest, SetupError

SUITE = re.compile(r"[a-z][a-z0-9-]{1,30}")
PACKAGES = ("bash", "ca-certificates", "python3", "python3-venv", "rsync")
"""Besides apt and what is essential."""
MIRROR = "http://deb.debian.org/debian"
SECURITY = "http://deb.debian.org/debian-security"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
LEFT_OUT = ("/usr/share/man/*/*", "/usr/share/doc/*", "/usr/share/info/*", "/usr/share/locale/*/LC_MESSAGES/*")
OWN_CERTIFICATES = Path("/usr/local/share/ca-certificates")
"""Authorities that this machine trusts besides the usual ones, a company's proxy for instance."""
BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
INDEX_OPTIONS = ("index-url", "extra-index-url", "proxy", "trusted-host", "timeout")


def build(
    suite: str,
    out: Path,
    *,
    packages: Sequence[str] = (),
    script: str = "",
    ids: Ids | None = None,
    progress: Progress = lambda line: None,
) -> Base:
    """Make a base of a Debian release: about a minute, 170 MB unpacked, from this machine's own mirrors.

    Args:
        suite: "bookworm", "trixie", ...
        out: the layer's file to write.
        packages: further Debian packages.
        script: shell commands run as root in it before it is packed.
        ids: this machine's way to user namespaces; found out if not given.
        progress: gets what is being done.

    Raises:
        BadRequest: no name of a release, or one that the mirror does not have.
        SetupError: mmdebstrap is missing or failed; the text ends with its last lines.
        StorageFull: the disk is full.
    """
    if not SUITE.fullmatch(suite):
        raise BadRequest(f"{suite!r} is no name of a Debian release", hint="for instance bookworm or trixie")
    ids = ids or userns.ids_for()
    _check(ids)
    with tempfile.TemporaryDirectory(prefix=".debian-", dir=out.parent) as folder:
        tar = Path(folder) / "root.tar"
        _bootstrap([*command(suite, packages, script, ids), suite, "-", *sources(suite)], tar, progress)
        progress("packing")
        return base.build([tar], out, ids=ids, origin=f"Debian {suite}")


def _check(ids: Ids) -> None:
    if not shutil.which("mmdebstrap"):
        raise SetupError("the program mmdebstrap is not installed", hint="apt-get install mmdebstrap uidmap")
    if ids.count < userns.SPAN:
        raise SetupError(
            "this user has no range of subordinate ids, which the files of a Debian system need",
            hint="as root: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER, and install uidmap",
        )


def command(suite: str, packages: Sequence[str], script: str, ids: Ids) -> list[str]:
    """mmdebstrap with its options."""
    mode = "root" if os.geteuid() == 0 else "unshare"
    words = ["mmdebstrap", f"--mode={mode}", "--variant=minbase", "--format=tar", "--skip=output/dev"]
    words.append("--include=" + ",".join(dict.fromkeys([*PACKAGES, *packages])))
    words += [f"--dpkgopt=path-exclude={pattern}" for pattern in LEFT_OUT]
    words.append("--dpkgopt=path-include=/usr/share/doc/*/copyright")
    words += [f"--aptopt={line}" for line in _apt_options()]
    return words + [f"--customize-hook={hook}" for hook in _hooks(script)]


def _hooks(script: str) -> list[str]:
    """Shell commands that finish the root file system, whose folder is their $1."""
    hooks = []
    for file in sorted(OWN_CERTIFICATES.glob("*.crt")):
        target = f'"$1"{OWN_CERTIFICATES}/{shlex.quote(file.name)}'
        hooks.append(f"printf %s {shlex.quote(file.read_text())} > {target}")
    hooks.append('chroot "$1" update-ca-certificates')
    hooks.append(f'printf %s {shlex.quote(pip_settings())} > "$1"/etc/pip.conf')
    if script:
        hooks.append(f'chroot "$1" /bin/sh -eu -c {shlex.quote(script)}')
    hooks.append('printf "localhost\\n" > "$1"/etc/hostname; printf "127.0.0.1 localhost\\n::1 localhost\\n" > "$1"/etc/hosts')
    hooks.append(': > "$1"/etc/resolv.conf; : > "$1"/etc/machine-id')
    hooks.append('chmod 644 "$1"/etc/hostname "$1"/etc/hosts "$1"/etc/resolv.conf')
    return hooks


def _bootstrap(argv: list[str], tar: Path, progress: Progress) -> None:
    env = os.environ | {"SOURCE_DATE_EPOCH": str(EPOCH), "PYTHONHASHSEED": "0", "DEBIAN_FRONTEND": "noninteractive"}
    env.setdefault("TMPDIR", "/var/tmp")
    env["PATH"] = f"{env.get('PATH', '')}:{base.PATH}"
    last: deque[str] = deque(maxlen=12)
    told = ""
    with (
        tar.open("wb") as out,
        subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.PIPE, env=env) as process,
    ):
        try:
            for line in process.stderr or ():
                text = line.decode(errors="replace").strip()
                last.append(text)
                step = "finishing" if "-hook" in text else text.removeprefix("I: ")  # a hook's own text is a whole script
                if text.startswith("I: ") and step != told:
                    told = step
                    progress(step)
        except BaseException:
            process.terminate()  # it unmounts what it mounted
            raise
        status = process.wait()
    if status:
        raise _failure(argv, list(last))


def _failure(argv: list[str], last: list[str]) -> BadRequest | SetupError:
    said = "\n".join(last)
    if "does not have a Release file" in said or "404" in said:
        return BadRequest(f"the mirror has no such release:\n{said}", hint="see the names of releases on debian.org/releases")
    return SetupError(f"mmdebstrap failed:\n{said}")


def sources(suite: str) -> list[str]:
    """Lines of sources.list for a release: from the mirrors that this machine uses, if it is a Debian machine."""
    main, security = mirrors()
    trust = f"[signed-by={KEYRING}] " if os.path.exists(KEYRING) else ""
    lines = [f"deb {trust}{main} {suite} main"]
    if suite not in ("sid", "unstable", "testing", "experimental"):
        lines.append(f"deb {trust}{main} {suite}-updates main")
        lines.append(f"deb {trust}{security} {suite}-security main")
    return lines


def mirrors(etc: Path = Path("/etc/apt")) -> tuple[str, str]:
    """The addresses of Debian's packages and of their security updates that a machine uses."""
    files = [etc / "sources.list", *sorted((etc / "sources.list.d").glob("*"))]
    pairs = [pair for file in files if file.is_file() for pair in _entries(file)]
    main = next((uri for uri, suite in pairs if re.search(r"/debian/?$", uri) and "-" not in suite), MIRROR)
    security = next((uri for uri, suite in pairs if "debian" in uri and suite.endswith("-security")), SECURITY)
    return main.rstrip("/"), security.rstrip("/")


def _entries(file: Path) -> list[tuple[str, str]]:
    """(address, suite) of each source in a file, of either format."""
    text = re.sub(r"^\s*#.*\n?", "", file.read_text(errors="replace"), flags=re.MULTILINE)
    if file.suffix != ".sources":
        return re.findall(r"^deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)", text, re.MULTILINE)
    found = []
    for stanza in re.split(r"\n\s*\n", text):
        fields = {key.lower(): value.split() for key, value in re.findall(r"^(\S+):[ \t]*(.*)$", stanza, re.MULTILINE)}
        found += [(uri, suite) for uri in fields.get("uris", []) for suite in fields.get("suites", [])]
    return found


def _apt_options() -> list[str]:
    """Proxies of this machine's apt, which the new system's apt needs as well; those of the environment apt reads itself."""
    if not shutil.which("apt-config"):
        return []
    said = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=False).stdout
    return re.findall(r'^(Acquire::https?::Proxy(?:::\S+)? ".+";)$', said, re.MULTILINE)


def pip_settings() -> str:
    """pip.conf for a root file system: this machine's indexes, where they are reached over the network, and its certificates."""
    found = {"cert": BUNDLE}
    files = [Path("/etc/pip.conf"), Path.home() / ".config/pip/pip.conf", Path.home() / ".pip/pip.conf"]
    for file in files:
        parser = configparser.RawConfigParser()
        try:
            parser.read(file)
        except (configparser.Error, OSError, UnicodeDecodeError):
            continue
        found |= {
            key: value for key, value in (dict(parser["global"]) if "global" in parser else {}).items() if key in INDEX_OPTIONS
        }
    for key in INDEX_OPTIONS:
        found[key] = os.environ.get("PIP_" + key.upper().replace("-", "_")) or found.get(key, "")
    for key in "index-url", "extra-index-url":
        found[key] = " ".join(url for url in found[key].split() if url.startswith(("http://", "https://")))
    return "[global]\n" + "".join(f"{key} = {' '.join(value.split())}\n" for key, value in found.items() if value)
