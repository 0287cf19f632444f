"""Who is asking: an API key, or a job through its worker's door. Every request is answered here first."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets

from msgspec import Struct

from picloud.server.fleet import Fleet, Worker
from picloud.server.storage import Storage, now_ms
from picloud.store import account as accounts
from picloud.wire.error import NotAuthorized

Headers = dict[bytes, bytes]


class Principal(Struct, frozen=True):
    """The account a request acts for, and how it came."""

    account: int
    name: str
    owner: bool = False
    attempt: tuple[int, int] | None = None  # (jid, n) of the job that asks
    worker: Worker | None = None  # the worker it came through


class Authority:
    """Turns headers into a Principal. Verified keys are remembered by a digest, never in the clear."""

    def __init__(self, storage: Storage, fleet: Fleet) -> None:
        self._storage, self._fleet = storage, fleet
        self._known: dict[bytes, Principal] = {}
        self.owner = 0  # the account of whoever installed this server
        self.edge = secrets.token_hex(32)  # what our edge process shows

    def remembered(self, headers: Headers) -> Principal | None:
        """The principal of a key that was verified before, without waiting."""
        return self._known.get(hashlib.sha256(headers.get(b"authorization", b"")).digest())

    async def principal(self, headers: Headers) -> Principal:
        """Who asks.

        Raises:
            NotAuthorized: no key, a wrong or switched-off key, a closed attempt.
        """
        value = headers.get(b"authorization", b"")
        if value.startswith(b"Worker "):
            return self._job(self._bearer(headers), headers)
        if value.startswith(b"Bearer "):
            return await self._session(value.removeprefix(b"Bearer ").decode("ascii", "replace"))
        known = self._known.get(hashlib.sha256(value).digest())
        return known or await self._verify(value)

    def worker(self, headers: Headers) -> Worker:
        """The worker whose credential the request carries.

        Raises:
            NotAuthorized: not a live incarnation, a wrong secret, or it asks for a job.
        """
        if b"x-picloud-attempt" in headers:
            raise NotAuthorized("only workers themselves may ask this", hint="a job asks with the functions of cloud")
        return self._bearer(headers)

    def _bearer(self, headers: Headers) -> Worker:
        """The worker through which the request came."""
        incarnation, _, secret = headers.get(b"authorization", b"").removeprefix(b"Worker ").partition(b":")
        worker = self._fleet.by_incarnation.get(incarnation.decode("ascii", "replace"))
        if worker is None or not hmac.compare_digest(hashlib.sha256(secret).digest(), worker.secret_hash):
            raise NotAuthorized("this worker was revoked or is not known", hint="it ends by itself")
        return worker

    def check_edge(self, headers: Headers) -> None:
        """Let only our own edge process pass.

        Raises:
            NotAuthorized: it is somebody else.
        """
        if not hmac.compare_digest(headers.get(b"authorization", b""), b"Edge " + self.edge.encode()):
            raise NotAuthorized("only the edge process asks this")

    def forget(self) -> None:
        """Verify every key anew (after keys changed)."""
        self._known.clear()

    async def _session(self, token: str) -> Principal:
        found = await self._storage.read(accounts.token_check, token, now_ms())
        return Principal(found.id, found.name, found.id == self.owner)

    async def _verify(self, value: bytes) -> Principal:
        key, secret = _basic(value)
        found = await self._storage.read(accounts.key_check, key, secret)
        if len(self._known) > 10_000:
            self._known.clear()
        made = Principal(found.id, found.name, found.id == self.owner)
        self._known[hashlib.sha256(value).digest()] = made
        return made

    def _job(self, worker: Worker, headers: Headers) -> Principal:
        jid, n, lease = _attempt(headers.get(b"x-picloud-attempt", b""))
        if not worker.holds(jid, n, lease):
            raise NotAuthorized(f"attempt {n} of job {jid} is closed", jid=jid, hint="only a running job may call the API")
        return Principal(worker.kind.account, worker.kind.account_name, False, (jid, n), worker)


def _basic(value: bytes) -> tuple[int, str]:
    try:
        scheme, _, blob = value.partition(b" ")
        key, _, secret = base64.b64decode(blob, validate=True).decode().partition(":")
        if scheme.lower() == b"basic" and key.isdecimal() and len(key) < 19:
            return int(key), secret
    except (binascii.Error, UnicodeDecodeError):
        pass
    raise NotAuthorized("this request carries no API key", hint="run 'picloud setup', or call cloud.setkey(key, secret, url)")


def _attempt(value: bytes) -> tuple[int, int, bytes]:
    try:
        jid, n, lease = value.decode().split(".")
        return int(jid), int(n), bytes.fromhex(lease)
    except (ValueError, UnicodeDecodeError):
        raise NotAuthorized("no attempt is named", hint="only a running job may call the API here") from None
