"""Who is asking: an API key, or a job through its worker's door. Every request is answered here first."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import secrets
import weakref
from collections.abc import Callable, Collection, Sequence

from msgspec import Struct

from picloud.server.fleet import Fleet, Worker
from picloud.server.storage import Storage, now_ms
from picloud.store import account as accounts
from picloud.store.account.session import session_name, session_used
from picloud.wire.error import CloudException, Forbidden, NotAuthorized, Unavailable
from picloud.wire.scope import USUAL, Role, Scope, spelled

Headers = dict[bytes, bytes]
REMEMBERED = 10_000
"""Keys that were verified."""
NOTED = 60_000
"""Milliseconds in which it is written down once that a session is used."""
LOOK = 60.0
"""Seconds between two looks whether a key or a session has ended whose lines are open."""


class Principal(Struct, frozen=True):
    """The account a request acts for, how it came, and what it may do."""

    account: int
    name: str
    owner: bool = False  # of the installation, by somebody who may administer it
    attempt: tuple[int, int] | None = None  # (jid, n) of the job that asks
    worker: Worker | None = None  # the worker it came through
    scopes: Scope = USUAL
    key: int = 0  # that was shown
    person: int = 0  # the user whose key or session it is
    role: Role = Role.member
    token: str = ""  # of the session
    call: int = 0  # the published call that the key is for, which opens nothing else

    def check(self, needed: Sequence[Scope]) -> None:
        """Let pass who has all of one of these.

        Raises:
            Forbidden: telling what lacks.
        """
        if self.call and Scope.address not in needed:
            raise Forbidden(f"the key {self.key} is for one address alone", hint="use a key of the account")
        scopes = self.scopes
        for one in needed:
            if int.__and__(one, scopes) == one:  # that of flags takes ten times as long
                return
        words = " or ".join(" and ".join(spelled(one)) for one in needed)
        hint = f"use a key with the scope {words}; picloud keys create --scope .. makes one"
        who = "a job" if self.attempt else f"the key {self.key}" if self.key else "this session"
        raise Forbidden(f"{who} lacks the scope {words}", hint=hint, scopes=spelled(scopes))


class Pass:
    """A key that was verified and is remembered, until it ends; or a session. What lasts longer than a request ends with it."""

    __slots__ = ("__weakref__", "ended", "principal", "until", "users")

    def __init__(self, principal: Principal, until: int) -> None:
        self.principal, self.until = principal, until  # epoch ms; 0 = for ever
        self.ended = False
        self.users: set[Callable[[], object]] = set()

    def end(self) -> None:
        """Whatever uses it stops."""
        self.ended = True
        users, self.users = self.users, set()
        for stop in users:
            stop()


class Authority:
    """Turns headers into a Principal. Verified keys are remembered by a digest, never in the clear.

    Sessions are looked up at each request, for they end in many ways. They have a pass only as long as a request of theirs lasts.
    """

    def __init__(self, storage: Storage, fleet: Fleet) -> None:
        self._storage, self._fleet = storage, fleet
        self._known: dict[bytes, Pass] = {}
        self._sessions: weakref.WeakValueDictionary[bytes, Pass] = weakref.WeakValueDictionary()
        self._looking: set[asyncio.Task[None]] = set()
        self._noted: dict[bytes, int] = {}  # digest of a token -> when it was last written down that it was shown
        self._changes = 0  # so often keys changed: what was read before a change is not remembered after it
        self.owner = 0  # the account of whoever installed this server
        self.edge = secrets.token_hex(32)  # what our edge process shows

    def remembered(self, headers: Headers) -> Pass | None:
        """The pass of a key that was verified before, without waiting."""
        found = self._known.get(hashlib.sha256(headers.get(b"authorization", b"")).digest())
        if found is not None and found.until and now_ms() >= found.until:
            self.forget(found.principal.key)
            return None
        return found

    async def enter(self, headers: Headers) -> tuple[Principal, Pass | None]:
        """Who asks, and what ends a request of hers that lasts: the end of her key or session; None = she is a job.

        Raises:
            NotAuthorized: as :meth:`principal`.
            Unavailable: as there.
        """
        value = headers.get(b"authorization", b"")
        if value.startswith(b"Bearer "):
            held = await self._session(value.removeprefix(b"Bearer "))
            return held.principal, held
        return await self.principal(headers), self.remembered(headers)

    async def principal(self, headers: Headers) -> Principal:
        """Who asks.

        Raises:
            NotAuthorized: no key, a wrong or switched-off key, an expired one, a closed attempt.
            Unavailable: a job whose worker is not connected.
        """
        value = headers.get(b"authorization", b"")
        if value.startswith(b"Worker "):
            return self._job(self._bearer(headers), headers)
        if value.startswith(b"Bearer "):
            return (await self._session(value.removeprefix(b"Bearer "))).principal
        return await self._verify(value)

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

    def forget(self, key: int) -> None:
        """Verify a key anew, for it has changed; lines and streams that it opened end."""
        self._changes += 1
        for digest in [digest for digest, held in self._known.items() if held.principal.key == key]:
            self._known.pop(digest).end()
        self._end_sessions(lambda who: who.key == key)

    def forget_person(self, person: int) -> None:
        """The same for all keys and sessions of a user."""
        for key in {held.principal.key for held in self._known.values() if held.principal.person == person}:
            self.forget(key)
        self.forget_sessions(person)

    def forget_sessions(self, person: int) -> None:
        """The same for the sessions of a user."""
        self._end_sessions(lambda who: who.person == person)

    def forget_named(self, names: Collection[str]) -> None:
        """The same for sessions of these names."""
        self._end_sessions(lambda who: bool(who.token) and session_name(who.token) in names)

    def forget_account(self, account: int) -> None:
        """The same for all keys of an account."""
        for key in {held.principal.key for held in self._known.values() if held.principal.account == account}:
            self.forget(key)
        self._end_sessions(lambda who: who.account == account)

    def _end_sessions(self, which: Callable[[Principal], bool]) -> None:
        self._changes += 1
        for held in list(self._sessions.values()):
            if which(held.principal):
                held.end()

    async def _session(self, value: bytes) -> Pass:
        token, changes = value.decode("ascii", "replace"), -1
        while changes != self._changes:  # what was read before a change may have ended by it
            changes = self._changes
            found = await self._storage.read(accounts.token_check, token, now_ms())
        made, digest = self._made(found, token), hashlib.sha256(value).digest()
        await self._note(token, digest)
        held = self._sessions.get(digest)
        if held is not None and held.principal != made:  # her role, say, is another one
            held.end()
        if held is None or held.ended:
            held = self._sessions[digest] = Pass(made, found.until)
            self._look_later(held)
        return held

    async def _note(self, token: str, digest: bytes) -> None:
        """Write down that a session is used, once in :data:`NOTED`."""
        now = now_ms()
        if now - self._noted.get(digest, 0) <= NOTED:
            return
        if len(self._noted) > REMEMBERED:
            self._noted.clear()
        self._noted[digest] = now
        await self._storage.note(session_used, token, now)

    def _look_later(self, held: Pass) -> None:
        left = max(0.0, (held.until - now_ms()) / 1000)
        asyncio.get_running_loop().call_later(min(left, LOOK), self._look, weakref.ref(held))

    def _look(self, seen: weakref.ref[Pass]) -> None:
        """End what is open by a session when that has ended, however it did."""
        held = seen()
        if held is None or held.ended:
            return
        if now_ms() >= held.until:
            held.end()
            return
        looking = asyncio.ensure_future(self._verify_session(held))
        self._looking.add(looking)
        looking.add_done_callback(self._looking.discard)

    async def _verify_session(self, held: Pass) -> None:
        try:
            found = await self._storage.read(accounts.token_check, held.principal.token, now_ms())
            valid = self._made(found, held.principal.token) == held.principal
        except NotAuthorized:
            valid = False
        except CloudException:  # the store cannot tell now
            valid = True
        if valid:
            self._look_later(held)
        else:
            held.end()

    async def _verify(self, value: bytes) -> Principal:
        key, secret = _basic(value)
        changes = self._changes
        found = await self._storage.read(accounts.key_check, key, secret, now_ms())
        made = self._made(found)
        if changes == self._changes:
            self._remember(hashlib.sha256(value).digest(), Pass(made, found.until))
        return made

    def _remember(self, digest: bytes, held: Pass) -> None:
        if len(self._known) > REMEMBERED:
            self._known = {other: one for other, one in self._known.items() if one.users}
        self._known[digest] = held
        if held.until:
            self._watch(digest, held)

    def _watch(self, digest: bytes, held: Pass) -> None:
        """End a pass at its time; the wall clock may be set meanwhile."""
        left = (held.until - now_ms()) / 1000
        if held.ended or self._known.get(digest) is not held:
            return
        if left <= 0:
            self._known.pop(digest).end()
        else:
            asyncio.get_running_loop().call_later(min(left, LOOK), self._watch, digest, held)

    def _made(self, found: accounts.Shown, token: str = "") -> Principal:
        owner = found.id == self.owner and found.role is Role.owner and bool(found.scopes & Scope.admin)
        return Principal(found.id, found.name, owner, scopes=found.scopes, key=found.key, person=found.person,
                         role=found.role, token=token, call=found.call)  # fmt: skip

    def _job(self, worker: Worker, headers: Headers) -> Principal:
        jid, n, lease = _attempt(headers.get(b"x-picloud-attempt", b""))
        if not worker.connected:  # after a restart its jobs may be quicker than itself
            raise Unavailable("the worker of this job is not connected now", hint="ask again in a moment")
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


def secret_shown(headers: Headers) -> str:
    """The secret of the API key that a request carries.

    Raises:
        NotAuthorized: it carries none.
    """
    return _basic(headers.get(b"authorization", b""))[1]


def _attempt(value: bytes) -> tuple[int, int, bytes]:
    try:
        jid, n, lease = value.decode().split(".")
        return int(jid), int(n), bytes.fromhex(lease)
    except (ValueError, UnicodeDecodeError):
        raise NotAuthorized("no attempt is named", hint="only a running job may call the API here") from None
