"""Key pairs are made once, private, and OpenSSH reads them."""

import stat
import subprocess
from pathlib import Path

from picloud.server.identity import host_key, owner_key, public_of


def test_keys_are_made_once_and_private(tmp_path: Path) -> None:
    host = host_key(tmp_path)
    public = owner_key(tmp_path, 17)
    assert public == owner_key(tmp_path, 17) != public_of(host) == public_of(host_key(tmp_path))
    private = tmp_path / "credentials" / "17" / "id_rsa"
    for path in (host, private):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600 and stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    said = subprocess.run(["ssh-keygen", "-y", "-f", private], capture_output=True, check=True).stdout.decode()
    assert said.split()[:2] == public.split()
