"""The vault: what it seals only it opens, in its own place, with the keys of its home."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from picloud.server.vault import Vault
from picloud.wire.error import SetupError

VALUES = {"PASSWORD": "hunter22", "USER": "ann"}


def key(letter: bytes) -> bytes:
    return base64.b64encode(letter * 32) + b"\n"


def test_sealed_values_open_in_their_place_alone(tmp_path: Path) -> None:
    vault = Vault(tmp_path / "secrets.key")
    assert not (tmp_path / "secrets.key").exists(), "who keeps no secrets has no key to lose"
    sealed = vault.seal(7, "db", VALUES)
    assert (tmp_path / "secrets.key").stat().st_mode & 0o777 == 0o600
    assert sealed.variables == ["PASSWORD", "USER"] and vault.opens(sealed.key)
    assert b"hunter22" not in sealed.data and b"PASSWORD" not in sealed.data
    assert vault.seal(7, "db", VALUES).data != sealed.data
    for one in (vault, Vault(tmp_path / "secrets.key")):
        assert one.open(7, "db", sealed) == VALUES
        assert one.open(8, "db", sealed) is one.open(7, "dc", sealed) is None
        assert one.open(7, "db", sealed._replace(data=sealed.data[:-1] + bytes([sealed.data[-1] ^ 1]))) is None
        assert one.open(7, "db", sealed._replace(data=b"")) is None


def test_a_first_line_rotates_and_a_further_one_opens_what_was_restored(tmp_path: Path) -> None:
    path = tmp_path / "secrets.key"
    path.write_bytes(key(b"a"))
    old = Vault(path).seal(1, "db", VALUES)
    path.write_bytes(key(b"b"))
    strange = Vault(path)
    assert strange.open(1, "db", old) is None and not strange.opens(old.key)
    path.write_bytes(key(b"b") + key(b"a"))
    both = Vault(path)
    assert both.open(1, "db", old) == VALUES
    new = both.seal(1, "db", VALUES)
    assert new.key != old.key and new.key == strange.seal(1, "db", VALUES).key


@pytest.mark.parametrize("damaged", [b"%%%\n", base64.b64encode(bytes(16)), key(b"a") + b"short\n"])
def test_a_damaged_file_is_told_and_never_written_over(tmp_path: Path, damaged: bytes) -> None:
    path = tmp_path / "secrets.key"
    path.write_bytes(damaged)
    with pytest.raises(SetupError, match=r"secrets\.key"):
        Vault(path).seal(1, "db", VALUES)
    assert path.read_bytes() == damaged
