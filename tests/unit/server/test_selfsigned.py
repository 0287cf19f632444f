"""The certificate for other machines."""

import datetime
import hashlib
import socket
import ssl
import stat
import threading
from pathlib import Path

from picloud.server.selfsigned import certificate


def test_a_client_that_trusts_it_accepts_its_names(tmp_path: Path) -> None:
    cert, key, fingerprint = certificate(tmp_path, "10.1.2.3")
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(cert, key)
    client = ssl.create_default_context(cafile=str(cert))
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    for name in ("10.1.2.3", "127.0.0.1", "localhost", "::1"):
        here, there = socket.socketpair()
        answering = threading.Thread(target=lambda there=there: server.wrap_socket(there, server_side=True).close())
        answering.start()
        with client.wrap_socket(here, server_hostname=name) as line:
            assert hashlib.sha256(line.getpeercert(True) or b"").hexdigest() == fingerprint
        answering.join(5)


def test_it_stays_the_same_while_it_can(tmp_path: Path) -> None:
    first = certificate(tmp_path, "10.1.2.3")
    assert certificate(tmp_path, "10.1.2.3") == first
    other = certificate(tmp_path, "cloud.example")
    assert other[2] != first[2]
    assert certificate(tmp_path, "10.1.2.3") == other


def test_it_is_renewed_before_it_ends(tmp_path: Path) -> None:
    now = datetime.datetime.now(datetime.UTC)
    first = certificate(tmp_path, "10.1.2.3", now)
    later = now + datetime.timedelta(days=3630)
    assert certificate(tmp_path, "10.1.2.3", later)[2] != first[2]


def test_a_damaged_one_is_replaced(tmp_path: Path) -> None:
    cert, _, fingerprint = certificate(tmp_path, "10.1.2.3")
    cert.write_text("-----BEGIN")
    assert certificate(tmp_path, "10.1.2.3")[2] != fingerprint
