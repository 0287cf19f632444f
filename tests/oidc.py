"""A provider of OpenID Connect that tests start: real HTTP, real signatures, and a knob for everything that can be wrong."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode, urlsplit
from urllib.request import Request, urlopen

from joserfc import jwk, jwt

CLIENT, SECRET = "picloud", "a secret/with+signs"


class Provider:
    """The provider. ``said`` are claims that the next token has beside, or instead of, the right ones; None leaves one out."""

    def __init__(self) -> None:
        self.key = jwk.RSAKey.generate_key(2048, {"kid": "first", "use": "sig", "alg": "RS256"})
        self.forger: jwk.RSAKey | None = None  # signs in the place of the key
        self.said: dict[str, Any] = {}
        self.subject, self.email = "248289761001", "jane@example.org"
        self.down = False
        self._codes: dict[str, dict[str, str]] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.issuer = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def rotate(self) -> None:
        """Sign by another key from now on, and forget the former one."""
        self.key = jwk.RSAKey.generate_key(2048, {"kid": secrets.token_hex(4), "use": "sig", "alg": "RS256"})

    def log_in(self, url: str) -> tuple[str, str]:
        """Somebody goes to that address and agrees: state and code, with which she is sent back."""
        query = parse_qs(urlsplit(self._sent_back(url)).query)
        return query["state"][0], query["code"][0]

    def _sent_back(self, url: str) -> str:
        with urlopen(Request(f"{url}&manual=1"), timeout=10) as answer:
            return str(json.loads(answer.read())["location"])

    # -- what it answers ------------------------------------------------------------------------------------------

    def about(self) -> dict[str, Any]:
        names = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "keys"}
        return {"issuer": self.issuer, **{name: f"{self.issuer}/{path}" for name, path in names.items()}}

    def keys(self) -> dict[str, Any]:
        other = {"kty": "XYZ", "kid": "of a sort that nobody knows"}
        return {"keys": [other, self.key.as_dict(private=False)]}

    def authorize(self, query: dict[str, str]) -> str:
        assert query["response_type"] == "code" and query["client_id"] == CLIENT and "openid" in query["scope"].split()
        assert query["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(16)
        self._codes[code] = query
        return f"{query['redirect_uri']}?{urlencode({'code': code, 'state': query['state']})}"

    def token(self, form: dict[str, str], authorization: str) -> tuple[int, dict[str, Any]]:
        pair = base64.b64decode(authorization.removeprefix("Basic ")).decode()
        begun = self._codes.pop(form["code"], None)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).rstrip(b"=").decode()
        if [unquote(part) for part in pair.split(":")] != [CLIENT, SECRET]:
            return 401, {"error": "invalid_client"}
        if begun is None or begun["code_challenge"] != challenge or begun["redirect_uri"] != form["redirect_uri"]:
            return 400, {"error": "invalid_grant"}
        return 200, {"access_token": "x", "token_type": "Bearer", "id_token": self._signed(begun["nonce"])}

    def _signed(self, nonce: str) -> str:
        now = int(time.time())
        right = {"iss": self.issuer, "aud": CLIENT, "sub": self.subject, "exp": now + 300, "iat": now, "nonce": nonce,
                 "email": self.email, "email_verified": True}  # fmt: skip
        claims = {name: value for name, value in (right | self.said).items() if value is not None}
        return jwt.encode({"alg": "RS256", "kid": self.key.kid}, claims, self.forger or self.key)


def _handler(provider: Provider) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            at = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(at.query).items()}
            if at.path == "/authorize" and not provider.down:
                location = provider.authorize(query)
                if "manual" in query:
                    self._answer(200, {"location": location})
                else:
                    self._answer(303, {}, location)
            else:
                pages = {"/.well-known/openid-configuration": provider.about, "/keys": provider.keys}
                self._answer(200, pages[at.path]()) if at.path in pages else self._answer(404, {})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            form = {name: values[0] for name, values in parse_qs(body).items()}
            self._answer(*provider.token(form, self.headers.get("Authorization", "")))

        def _answer(self, status: int, found: dict[str, Any], location: str = "") -> None:
            body = json.dumps(found).encode()
            self.send_response(503 if provider.down else status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            if location:
                self.send_header("Location", location)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler
