"""What a provider of OpenID Connect says is believed only where all of it holds."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwk

from picloud.server import oidc
from picloud.server.oidc import Provider
from picloud.settings import Settings
from picloud.store.account.identity import Claimed
from picloud.wire.error import CloudException, Forbidden, NotAuthorized, NotFound, SetupError, Unavailable
from tests.oidc import CLIENT, SECRET
from tests.oidc import Provider as Far

HOLDER = "what the browser keeps"
HASH = hashlib.sha256(HOLDER.encode()).digest()
HERE = "http://127.0.0.1:7421/sign-in"


@pytest.fixture(scope="module")
def one() -> Iterator[Far]:
    made = Far()
    yield made
    made.stop()


@pytest.fixture
def far(one: Far) -> Far:
    one.said, one.forger, one.down = {}, None, False
    return one


def near(far: Far, tmp_path: Path, **more: Any) -> Provider:
    file = tmp_path / "secret"
    file.write_text(f"{SECRET}\n")
    file.chmod(0o600)
    return Provider(Settings(**{"oidc_issuer": far.issuer, "oidc_client": CLIENT, "oidc_secret_file": str(file), **more}))


@pytest.fixture
def provider(far: Far, tmp_path: Path) -> Provider:
    return near(far, tmp_path)


def entered(provider: Provider, far: Far, holder: str = HOLDER) -> Claimed:
    async def all_of_it() -> Claimed:
        state, code = await asyncio.to_thread(far.log_in, await provider.begin(HASH, HERE, 0))
        return await provider.finish(state, holder, code)

    return asyncio.run(all_of_it())


def test_who_comes_back_is_who_the_provider_says(provider: Provider, far: Far) -> None:
    for _ in range(2):
        assert entered(provider, far) == (far.issuer, "248289761001", "jane@example.org")


@pytest.mark.parametrize(
    "said",
    [
        {"nonce": "of another login"}, {"nonce": None}, {"aud": "another client"}, {"aud": None}, {"aud": ["x", "y"]},
        {"aud": [CLIENT, "other"]}, {"aud": [CLIENT, "other"], "azp": "other"}, {"azp": "other"}, {"iss": "https://evil.example"},
        {"iss": None}, {"exp": 1_700_000_000}, {"exp": None}, {"exp": "soon"}, {"iat": None}, {"sub": None}, {"sub": ""},
        {"sub": "x" * 300}, {"iat": int(time.time()) + 86400},
    ],
    ids=range(18),
)  # fmt: skip
def test_a_token_of_which_one_thing_is_wrong_opens_nothing(provider: Provider, far: Far, said: dict[str, Any]) -> None:
    far.said = said
    with pytest.raises(NotAuthorized):
        entered(provider, far)


def test_several_audiences_are_good_if_it_was_made_for_us(provider: Provider, far: Far) -> None:
    far.said = {"aud": [CLIENT, "other"], "azp": CLIENT}
    assert entered(provider, far).subject


@pytest.mark.parametrize("verified", [False, None, "true", 1, "false"])
def test_an_address_that_is_not_verified_is_none(provider: Provider, far: Far, verified: Any) -> None:
    far.said = {"email_verified": verified}
    assert entered(provider, far).email == ""


def test_an_address_that_is_none_is_none(provider: Provider, far: Far) -> None:
    for wrong in ("jane", 7, "a b@x", "jane@example.org\n@x"):
        far.said = {"email": wrong}
        assert entered(provider, far).email == ""


def test_a_forged_signature_opens_nothing(provider: Provider, far: Far) -> None:
    far.forger = jwk.RSAKey.generate_key(2048, {"kid": far.key.kid})
    with pytest.raises(NotAuthorized, match="signature"):
        entered(provider, far)


def test_a_key_that_was_rotated_is_learned(provider: Provider, far: Far) -> None:
    entered(provider, far)
    far.rotate()
    assert entered(provider, far).subject
    far.forger = far.key
    far.rotate()
    with pytest.raises(NotAuthorized):  # the former key signs nothing any more
        entered(provider, far)


@pytest.mark.parametrize("header", ['{"alg":"none"}', '{"alg":"HS256","kid":"first"}', "{}", "[]", ""])
def test_signatures_that_anybody_makes_are_none(
    provider: Provider, far: Far, header: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import base64
    import hmac
    import json

    def signed(nonce: str) -> str:
        claims = {"iss": far.issuer, "aud": CLIENT, "sub": "admin", "exp": 1 << 40, "iat": 1, "nonce": nonce}
        parts = [base64.urlsafe_b64encode(part.encode()).rstrip(b"=").decode() for part in (header, json.dumps(claims))]
        mac = hmac.new(far.key.as_pem(private=False), ".".join(parts).encode(), "sha256").digest() if "HS" in header else b""
        return ".".join([*parts, base64.urlsafe_b64encode(mac).rstrip(b"=").decode()])

    monkeypatch.setattr(far, "_signed", signed)
    with pytest.raises(NotAuthorized):
        entered(provider, far)


def test_a_login_ends_once_and_in_the_hands_of_who_began_it(provider: Provider, far: Far) -> None:
    async def tried() -> None:
        state, code = await asyncio.to_thread(far.log_in, await provider.begin(HASH, HERE, 0))
        assert (await provider.finish(state, HOLDER, code)).subject
        with pytest.raises(NotAuthorized, match="finished before"):
            await provider.finish(state, HOLDER, code)
        other, _ = await asyncio.to_thread(far.log_in, await provider.begin(HASH, HERE, 0))
        with pytest.raises(NotAuthorized):  # the same code under another login
            await provider.finish(other, HOLDER, code)
        state, code = await asyncio.to_thread(far.log_in, await provider.begin(HASH, HERE, 0))
        with pytest.raises(NotAuthorized, match="begun elsewhere"):
            await provider.finish(state, "somebody else's", code)
        with pytest.raises(NotAuthorized):
            await provider.finish(state, HOLDER, code)
        with pytest.raises(NotAuthorized):
            await provider.finish("", HOLDER, code)

    asyncio.run(tried())


def test_a_login_that_takes_too_long_is_void(provider: Provider, far: Far, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oidc, "LIFETIME", -1.0)
    with pytest.raises(NotAuthorized, match="too long"):
        entered(provider, far)


def test_so_many_logins_under_way_and_no_more(provider: Provider, far: Far, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oidc, "PENDING", 3)

    async def begun() -> None:
        urls = [await provider.begin(HASH, HERE, 0) for _ in range(5)]
        ends = [await asyncio.to_thread(far.log_in, url) for url in urls]
        with pytest.raises(NotAuthorized):
            await provider.finish(ends[0][0], HOLDER, ends[0][1])
        assert (await provider.finish(ends[4][0], HOLDER, ends[4][1])).subject

    asyncio.run(begun())


def test_a_provider_that_is_down_is_told_and_comes_again(far: Far, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oidc, "AGAIN", 0.0)
    provider = near(far, tmp_path)
    far.down = True
    with pytest.raises(Unavailable, match="503"):
        entered(provider, far)
    far.down = False
    assert entered(provider, far).subject
    nobody = near(far, tmp_path, oidc_issuer="http://127.0.0.1:1")
    with pytest.raises(Unavailable, match="refused"):
        entered(nobody, far)


def test_a_provider_that_calls_itself_otherwise_is_none(far: Far, tmp_path: Path) -> None:
    provider = near(far, tmp_path, oidc_issuer=far.issuer.replace("127.0.0.1", "localhost"))
    with pytest.raises(Unavailable, match="calls itself"):
        entered(provider, far)


def test_only_some_domains_come_in(far: Far, tmp_path: Path) -> None:
    assert entered(near(far, tmp_path, oidc_domains=["@Example.org", "b.org"]), far).email
    far.said = {"email_verified": False}
    for domains in (["example.com"], ["xexample.org"], ["org"], ["example.org"]):
        with pytest.raises(Forbidden):
            entered(near(far, tmp_path, oidc_domains=domains), far)


def test_a_wrong_client_secret_is_told(far: Far, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PICLOUD_OIDC_SECRET", "not it")
    with pytest.raises(NotAuthorized, match="invalid_client"):
        entered(near(far, tmp_path), far)


def test_settings_that_cannot_be_are_told_at_the_start(far: Far, tmp_path: Path) -> None:
    (tmp_path / "open").write_text("secret")
    (tmp_path / "open").chmod(0o644)
    for wrong in ({"oidc_issuer": "http://example.org"}, {"oidc_client": ""}, {"oidc_issuer": "example.org"},
                  {"oidc_secret_file": str(tmp_path / "open")}, {"oidc_secret_file": str(tmp_path / "none")}):  # fmt: skip
        with pytest.raises(SetupError):
            near(far, tmp_path, **wrong)


def test_without_a_provider_nobody_begins() -> None:
    with pytest.raises(NotFound):
        asyncio.run(Provider(Settings()).begin(HASH, HERE, 0))
    assert issubclass(Unavailable, CloudException)
