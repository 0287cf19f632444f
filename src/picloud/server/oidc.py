"""Logins by OpenID Connect: the code flow with PKCE, and what a provider has signed about somebody.

A login that has begun is kept here, in memory, under its state; it ends once, within ten minutes, in the hands of who began it:
she has a secret of which we know the sha256. Only who has to show a password may come again with it. A server that is started
anew forgets them, and people click once more.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import secrets
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.error import HTTPError
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from picloud.server.confided import secret
from picloud.settings import Settings
from picloud.store.account import user as users
from picloud.store.account.identity import LONGEST, Claimed
from picloud.wire.error import BadRequest, Forbidden, NotAuthorized, NotFound, SetupError, Unavailable

if TYPE_CHECKING:
    from joserfc.jwk import Key

LIFETIME = 600.0
"""Seconds between the begin of a login and its end."""
PENDING = 10_000
"""Logins that have begun; of more the oldest are forgotten."""
TIMEOUT = 10.0
LARGEST = 1 << 20
"""Bytes of an answer of the provider."""
FRESH = 3600.0
"""Seconds that what the provider says about itself is believed."""
AGAIN = 2.0
"""Seconds before a provider that did not answer is asked again."""
LEEWAY = 60
"""Seconds by which its clock may differ from ours."""
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"]
"""Signatures; none that we could make ourselves with the client's secret."""


class Begun(NamedTuple):
    """A login under way."""

    nonce: str
    verifier: str
    redirect: str
    holder: bytes  # sha256 of the secret of who began it
    until: float  # of the monotonic clock
    claimed: Claimed | None = None  # what the provider has said already of who still has to show her password


def _digest(holder: str) -> bytes:
    return hashlib.sha256(holder.encode("utf-8", "replace")).digest()


class _Stay(HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:  # the provider's addresses are exact
        return None


class Provider:
    """The provider that the settings name.

    Raises:
        SetupError: they are not whole.
    """

    def __init__(self, settings: Settings) -> None:
        self.issuer, self._client = settings.oidc_issuer, settings.oidc_client
        self._domains = {one.lower().lstrip("@") for one in settings.oidc_domains}
        self._secret = secret("PICLOUD_OIDC_SECRET", settings.oidc_secret_file, "oidc_secret_file")
        self._begun: OrderedDict[str, Begun] = OrderedDict()
        self._lock = asyncio.Lock()
        self._about: dict[str, Any] = {}
        self._keys: list[Key] = []
        self._asked = self._failed = float("-inf")
        if self.issuer:
            self._check()

    def _check(self) -> None:
        parts = urlsplit(self.issuer)
        loopback = parts.hostname in ("127.0.0.1", "::1", "localhost")
        if parts.scheme != "https" and not (parts.scheme == "http" and loopback):
            raise SetupError(f"oidc_issuer cannot be {self.issuer!r}", hint="it begins with https://")
        if not self._client:
            raise SetupError(
                "oidc_issuer is set and oidc_client is not", hint="the provider names a client when you register one"
            )

    # -- a login ----------------------------------------------------------------------------------------------------

    async def begin(self, holder: bytes, redirect: str, port: int) -> str:
        """The address to which somebody goes to log in.

        Args:
            holder: sha256 of a secret that she keeps.
            redirect: our page, to which the provider sends her back.
            port: on her machine, to which that page sends her on; 0 = it ends there.

        Raises:
            NotFound: no provider is set.
            Unavailable: it does not answer.
        """
        if not self.issuer:
            raise NotFound("this server has no logins by OpenID Connect", hint="its owner sets oidc_issuer")
        about = await self._discovered()
        state = f"{port}.{secrets.token_urlsafe(32)}"
        made = Begun(secrets.token_urlsafe(32), secrets.token_urlsafe(48), redirect, holder, time.monotonic() + LIFETIME)
        self._begun[state] = made
        while len(self._begun) > PENDING:
            self._begun.popitem(last=False)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(made.verifier.encode()).digest()).rstrip(b"=").decode()
        query = {"response_type": "code", "client_id": self._client, "redirect_uri": redirect, "scope": "openid email",
                 "state": state, "nonce": made.nonce, "code_challenge": challenge, "code_challenge_method": "S256"}  # fmt: skip
        join = "&" if "?" in about["authorization_endpoint"] else "?"
        return f"{about['authorization_endpoint']}{join}{urlencode(query)}"

    async def finish(self, state: str, holder: str, code: str) -> Claimed:
        """What the provider says of who came back.

        Args:
            holder: the secret of who began.

        Raises:
            NotAuthorized: nobody began this, it took too long, was finished before, or was begun elsewhere; or what the
                provider says does not hold.
            Forbidden: the address is of no domain that may come in.
            Unavailable: the provider does not answer.
        """
        begun = self._begun.pop(state, None)
        if begun is None or time.monotonic() > begun.until:
            raise NotAuthorized("this login was finished before, or has taken too long", hint="log in again")
        if not hmac.compare_digest(_digest(holder), begun.holder):
            raise NotAuthorized("this login was begun elsewhere", hint="log in again, all of it in one browser or terminal")
        if begun.claimed:
            return begun.claimed
        try:
            answer = await self._exchange(code, begun)
        except Unavailable:
            self._begun[state] = begun  # the same request may come once more
            raise
        return self._claimed(await self._verified(str(answer.get("id_token", "")), begun.nonce))

    def keep(self, state: str, holder: str, claimed: Claimed) -> None:
        """Let who came back finish once more: with her password, as she has one.

        Args:
            holder: the secret of who began.
            claimed: what the provider said.
        """
        self._begun[state] = Begun("", "", "", _digest(holder), time.monotonic() + LIFETIME, claimed)

    def _claimed(self, said: dict[str, Any]) -> Claimed:
        subject, email = said.get("sub"), said.get("email")
        if not isinstance(subject, str) or not 0 < len(subject) <= LONGEST or "\0" in subject:
            raise NotAuthorized("the provider names nobody", hint="ask who runs it")
        try:
            verified = users.address(email) if said.get("email_verified") is True and isinstance(email, str) else ""
        except BadRequest:
            verified = ""
        if self._domains and verified.rpartition("@")[2] not in self._domains:
            raise Forbidden(
                "this e-mail address may not log in here", hint=f"allowed are those of {', '.join(sorted(self._domains))}"
            )
        return Claimed(self.issuer, subject, verified)

    # -- the provider -----------------------------------------------------------------------------------------------

    async def _discovered(self) -> dict[str, Any]:
        """What the provider says about itself."""
        async with self._lock:
            if self._about and time.monotonic() - self._asked < FRESH:
                return self._about
            if time.monotonic() - self._failed < AGAIN:
                raise self._away("it did not answer a moment ago")
            try:
                found = await self._get(f"{self.issuer.rstrip('/')}/.well-known/openid-configuration")
                self._about = self._whole(found)
            except Unavailable:
                self._failed = time.monotonic()
                raise
            self._asked = time.monotonic()
            return self._about

    def _whole(self, found: dict[str, Any]) -> dict[str, Any]:
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            if not isinstance(found.get(name), str) or urlsplit(found[name]).scheme not in (
                "https",
                urlsplit(self.issuer).scheme,
            ):
                raise self._away(f"its {name} is no address")
        if found.get("issuer") != self.issuer:
            raise self._away(f"it calls itself {found.get('issuer')!r:.200}")
        return found

    async def _exchange(self, code: str, begun: Begun) -> dict[str, Any]:
        about = await self._discovered()
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": begun.redirect, "code_verifier": begun.verifier}
        headers = {}
        ways = about.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        if self._secret and "client_secret_basic" in ways:
            pair = f"{quote(self._client, safe='')}:{quote(self._secret, safe='')}".encode()
            headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
        else:
            form |= {"client_id": self._client} | ({"client_secret": self._secret} if self._secret else {})
        return await self._get(about["token_endpoint"], urlencode(form).encode(), headers)

    async def _verified(self, token: str, nonce: str) -> dict[str, Any]:
        """The claims of an id token.

        Raises:
            NotAuthorized: its signature, or one of them, is wrong.
        """
        from joserfc.errors import JoseError

        if not self._keys:
            await self._fetch_keys()
        try:
            claims = _opened(token, self._keys)
            if claims is None:  # perhaps they have changed
                await self._fetch_keys()
                claims = _opened(token, self._keys)
            if claims is None:
                raise NotAuthorized("the signature of the provider is wrong", hint="log in again")
            _check_claims(claims, self.issuer, self._client, nonce)
        except (JoseError, ValueError, TypeError) as error:
            raise NotAuthorized(f"what the provider says does not hold: {error}", hint="log in again") from error
        return claims

    async def _fetch_keys(self) -> None:
        from joserfc import jwk
        from joserfc.errors import JoseError

        rows = (await self._get((await self._discovered())["jwks_uri"])).get("keys")
        made = []
        for row in rows if isinstance(rows, list) else []:
            if not isinstance(row, dict) or row.get("kty") not in ("RSA", "EC", "OKP") or row.get("use", "sig") != "sig":
                continue
            try:
                made.append(jwk.import_key(row))
            except (JoseError, ValueError, TypeError, KeyError):  # of a sort that is none of ours
                continue
        self._keys = made

    async def _get(self, url: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> dict[str, Any]:
        """A JSON object."""
        asked = Request(url, body, {"Accept": "application/json", **(headers or {})})
        return await asyncio.to_thread(self._read, asked)

    def _read(self, asked: Request) -> dict[str, Any]:
        try:
            with build_opener(_Stay).open(asked, timeout=TIMEOUT) as answer:
                found = json.loads(answer.read(LARGEST))
        except HTTPError as error:
            with error:
                said = error.read(500).decode("utf-8", "replace")
            if error.code in (400, 401) and asked.data is not None:
                raise NotAuthorized(f"the provider does not take this login: {said[:200]!r}", hint="log in again") from error
            raise self._away(f"it answered {error.code}") from error
        except (OSError, ValueError) as error:
            raise self._away(str(error)) from error
        if not isinstance(found, dict):
            raise self._away("its answer is no JSON object")
        return found

    def _away(self, why: str) -> Unavailable:
        return Unavailable(
            f"{self.issuer} cannot be asked who you are: {why[:300]}", hint="try again; a password works meanwhile"
        )


def _opened(token: str, keys: list[Key]) -> dict[str, Any] | None:
    """The claims of a token that one of these keys has signed; None = none has.

    Raises:
        JoseError, ValueError: it is no such token.
    """
    from joserfc import jws, jwt
    from joserfc.errors import BadSignatureError, JoseError

    kid = jws.extract_compact(token.encode()).headers().get("kid")
    for key in keys:
        if kid is not None and key.kid != kid:
            continue
        try:
            return dict(jwt.decode(token, key, algorithms=ALGORITHMS).claims)
        except BadSignatureError:
            continue
        except JoseError:
            if kid is not None:
                raise
    return None


def _check_claims(claims: dict[str, Any], issuer: str, client: str, nonce: str) -> None:
    from joserfc.jwt import JWTClaimsRegistry

    exact = {"iss": issuer, "aud": client, "nonce": nonce}
    asked: dict[str, Any] = {name: {"essential": True, "value": value} for name, value in exact.items()}
    asked |= {name: {"essential": True} for name in ("exp", "iat", "sub")}
    JWTClaimsRegistry(now=int(time.time()), leeway=LEEWAY, **asked).validate(claims)
    several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
    if claims.get("azp", None if several else client) != client:
        raise ValueError("it was made for another client")
