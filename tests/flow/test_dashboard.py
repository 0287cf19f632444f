"""The built dashboard as a browser gets it: each page, its parts, and what goes with them."""

from __future__ import annotations

import gzip
import http.client
import json
import re
from urllib.parse import urlsplit

import pytest

from picloud.server.api import page
from picloud.server.api.page import PAGES
from tests.conftest import Server

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8", "Accept-Encoding": "gzip, deflate, br"}


@pytest.fixture(scope="module", autouse=True)
def _built() -> None:
    page.FOLDER.file("index.html")  # make dashboard


def get(server: Server, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    at = urlsplit(server.url)
    link = http.client.HTTPConnection(at.hostname or "", at.port or 80, timeout=60)
    try:
        link.request(method, path, headers=headers)
        answer = link.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        link.close()


def test_each_page_is_the_document_with_its_policy(server: Server) -> None:
    document = page.FOLDER.file("index.html").data
    for path in PAGES:
        path = re.sub(r"\{jid\}", "7", path)
        status, headers, body = get(
            server, re.sub(r"\{\w+\}", "a%20name-1" if "environments" in path else "walked", path), **BROWSER
        )
        assert status == 200 and headers["content-type"] == "text/html; charset=utf-8", path
        assert (gzip.decompress(body) if headers.get("content-encoding") == "gzip" else body) == document
        assert headers["x-content-type-options"] == "nosniff" and headers["referrer-policy"] == "no-referrer"
        assert headers["cross-origin-opener-policy"] == "same-origin" and headers["cache-control"] == "no-cache"
        assert "default-src 'none'; script-src 'self';" in headers["content-security-policy"] and "set-cookie" not in headers


def test_the_document_is_sent_again_only_where_it_has_changed(server: Server) -> None:
    _, headers, body = get(server, "/jobs")
    assert body == page.FOLDER.file("index.html").data and "content-encoding" not in headers
    status, again, nothing = get(server, "/queues", **{"If-None-Match": headers["etag"]})
    assert (status, nothing) == (304, b"") and again["etag"] == headers["etag"]
    assert get(server, "/queues", **{"If-None-Match": '"another"'})[0] == 200


def test_its_parts_are_there_packed_and_kept_for_ever(server: Server) -> None:
    document = get(server, "/")[2].decode()
    parts = re.findall(r'(?:src|href)="(/assets/[^"]+)"', document)
    assert parts and not re.findall(r'(?:src|href)="(?:https?:)?//', document), "nothing comes from another host"
    for path in parts:
        status, headers, plain = get(server, path)
        assert status == 200 and headers["cache-control"] == "public, max-age=31536000, immutable"
        assert headers["content-type"].startswith(("text/javascript", "text/css", "image/svg")), path
        if path.endswith((".js", ".css")):
            _, headers, packed = get(server, path, **BROWSER)
            assert (
                headers["content-encoding"] == "gzip"
                and gzip.decompress(packed) == plain
                and "accept-encoding" in headers["vary"]
            )


@pytest.mark.parametrize("path", ["/nowhere", "/jobs/seven", "/queues/a/b", "/JOBS"])
def test_an_unknown_page_is_said_by_the_dashboard_to_browsers_alone(server: Server, path: str) -> None:
    status, headers, body = get(server, path, Accept="text/html")
    assert (status, body) == (404, page.FOLDER.file("index.html").data) and "content-security-policy" in headers
    for accept in ("*/*", "application/json"):
        status, headers, body = get(server, path, Accept=accept)
        assert status == 404 and json.loads(body)["error"]["code"] == "not_found"


@pytest.mark.parametrize(
    "path", ["/assets/none.js", "/assets/..", "/assets/../index.html", "/assets/%2e%2e%2findex.html", "/assets/.hidden",
             "/v1/nothing", "/assets//etc/passwd", "/assets/%00", "/robots.txt", "/server.py"]
)  # fmt: skip
def test_nothing_else_is_served(server: Server, path: str) -> None:
    status, _, body = get(server, path, Accept="*/*")
    assert status == 404 and json.loads(body)["error"]["code"] == "not_found"


def test_pages_are_no_part_of_the_api(server: Server) -> None:
    document = json.loads(get(server, "/v1/openapi.json")[2])
    assert not [path for path in document["paths"] if path.startswith("/assets") or path in PAGES]
    assert "/v1/view" in document["paths"]
    assert get(server, "/jobs", "POST", Accept="text/html")[0] == 404
