"""A self-signed certificate for the address other machines use; they pin its fingerprint instead of asking an authority."""

from __future__ import annotations

import datetime
import hashlib
import ipaddress
import socket
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from picloud.server.address import reachable
from picloud.server.home import make_folder, write_private

LIFETIME = datetime.timedelta(days=3650)
RENEW_BEFORE = datetime.timedelta(days=30)


def certificate(home: Path, host: str, now: datetime.datetime | None = None) -> tuple[Path, Path, str]:
    """The certificate for ``host``, made if there is none that names it and is still good.

    An existing one is kept as long as possible: clients have pinned it. A new one also names what the old one named.

    Returns:
        path of the certificate, path of its key (both PEM), sha256 fingerprint of the certificate (hex).
    """
    now = now or datetime.datetime.now(datetime.UTC)
    cert, key = home / "tls" / "cert.pem", home / "tls" / "key.pem"
    wanted, old = _names(host), _load(cert)
    if old is None or not key.exists() or old.not_valid_after_utc - now < RENEW_BEFORE or not wanted <= _named(old):
        make_folder(cert.parent)
        _make(cert, key, wanted | (_named(old) if old else set()), now)
        old = x509.load_pem_x509_certificate(cert.read_bytes())
    return cert, key, hashlib.sha256(old.public_bytes(serialization.Encoding.DER)).hexdigest()


def _names(host: str) -> set[str]:
    return {host, reachable(host), "localhost", "127.0.0.1", "::1", socket.gethostname()}


def _named(cert: x509.Certificate) -> set[str]:
    names = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {str(name.value) for name in names}


def _load(path: Path) -> x509.Certificate | None:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None


def _make(cert: Path, key: Path, names: set[str], now: datetime.datetime) -> None:
    secret = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "PiCloud")])
    made = (
        x509.CertificateBuilder()
        .subject_name(who)
        .issuer_name(who)
        .public_key(secret.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))  # clocks of other machines may be behind
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.SubjectAlternativeName([_general(name) for name in sorted(names)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(secret, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    write_private(key, secret.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    write_private(cert, made.public_bytes(serialization.Encoding.PEM))


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name.encode("idna").decode())
