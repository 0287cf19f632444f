"""Files of bucket and volumes as a web page handles them: JSON, links, and uploads in parts from another origin."""

from __future__ import annotations

import os
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

import cloud
from picloud.cli.call import Server as At
from picloud.cli.call import call
from tests.conftest import Server, serving

pytestmark = pytest.mark.live
MIB = 1 << 20


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server of its own: the bucket is empty at first."""
    with serving() as made:
        made.use()
        cloud.volume.create("data", "for files")
        yield made


@pytest.fixture(autouse=True)
def _empty(server: Server) -> Iterator[None]:
    yield
    for volume in ("", "data"):
        ask(server, "POST", "/v1/file/remove", {"folder": "", "volume": volume})


def mine(server: Server) -> At:
    return At(server.url, server.key, server.secret)


def ask(server: Server, method: str, path: str, body: Any = None) -> Any:
    return call(mine(server), method, path, body)


def put(server: Server, key: str, data: bytes, volume: str = "") -> None:
    ids = ask(server, "POST", "/v1/blob", {"sizes": [len(data)]})["blobs"]
    fetch(ids[0]["url"], "PUT", data)
    ask(server, "POST", f"/v1/bucket/{quote(key)}?volume={volume}", {"blobs": [ids[0]["id"]]})


def fetch(url: str, method: str = "GET", data: bytes | None = None, **headers: str) -> tuple[int, dict[str, str], bytes]:
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    asked = urllib.request.Request(url, data, told, method=method)
    try:
        with urllib.request.urlopen(asked, timeout=60) as answer:
            return answer.status, {name.lower(): value for name, value in answer.headers.items()}, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, {name.lower(): value for name, value in error.headers.items()}, error.read()


def listed(server: Server, prefix: str = "", volume: str = "") -> list[str]:
    return [one["key"] for one in ask(server, "GET", f"/v1/bucket?level=true&prefix={prefix}&volume={volume}")["objects"]]


@pytest.mark.parametrize("volume", ["", "data"])
def test_files_are_moved_copied_and_removed(server: Server, volume: str) -> None:
    for key in ("a/one.txt", "a/deep/two.txt", "b.txt"):
        put(server, key, key.encode(), volume)
    ask(server, "POST", "/v1/file/folder", {"key": "empty", "volume": volume})
    assert listed(server, volume=volume) == ["a/", "b.txt", "empty/"]
    with pytest.raises(cloud.CloudException, match="is there already"):
        ask(server, "POST", "/v1/file/folder", {"key": "empty/", "volume": volume})
    ask(server, "POST", "/v1/file/rename", {"key": "a/", "to": "z", "volume": volume})
    ask(server, "POST", "/v1/file/rename", {"key": "b.txt", "to": "z/b.txt", "volume": volume})
    with pytest.raises(cloud.CloudException, match="is there already"):
        ask(server, "POST", "/v1/file/rename", {"key": "z/b.txt", "to": "z/one.txt", "volume": volume})
    ask(server, "POST", "/v1/file/rename", {"key": "z/b.txt", "to": "z/one.txt", "volume": volume, "replace": True})
    assert listed(server, "z", volume) == ["z/deep/", "z/one.txt"]
    copied = ask(server, "POST", "/v1/file/copy", {"key": "z", "to": "again", "volume": volume, "to_volume": "data"})
    assert copied == {"copied": 2}
    assert listed(server, "again", "data") == ["again/deep/", "again/one.txt"]
    assert ask(server, "POST", "/v1/file/remove", {"keys": ["z/one.txt", "z/none"], "volume": volume}) == {"removed": 1}
    assert ask(server, "POST", "/v1/file/remove", {"folder": "z", "volume": volume}) == {"removed": 1}
    assert "z/" not in listed(server, volume=volume)


def test_the_last_file_leaves_its_folder(server: Server) -> None:
    put(server, "a/one.txt", b"1")
    ask(server, "POST", "/v1/file/rename", {"key": "a/one.txt", "to": "one.txt"})
    assert listed(server) == ["a/", "one.txt"]


def test_what_is_known_of_one(server: Server) -> None:
    put(server, "a/large.bin", os.urandom(MIB))
    found = ask(server, "GET", "/v1/file/a/large.bin?md5=true")
    assert (found["key"], found["size"], found["folder"], len(found["md5"])) == ("a/large.bin", MIB, False, 32)
    assert ask(server, "GET", "/v1/file/a/large.bin")["md5"] == found["md5"], "it is known from now on"
    assert ask(server, "GET", "/v1/file/a") | {"created": 0, "modified": 0} == {
        "key": "a", "size": 0, "etag": "0-0", "md5": "", "created": 0, "modified": 0, "headers": {}, "folder": True}  # fmt: skip
    for path in ("/v1/file/none", "/v1/file/a/large.bin?volume=data"):
        with pytest.raises(cloud.CloudException, match="there is no"):
            ask(server, "GET", path)


def test_public_and_private_again(server: Server) -> None:
    put(server, "page.txt", b"for all")
    shown = ask(server, "POST", "/v1/file/publish", {"key": "page.txt", "headers": {"Cache-Control": "max-age=9"}})
    status, told, body = fetch(shown["public"])
    assert (status, body, told["cache-control"]) == (200, b"for all", "max-age=9")
    assert ask(server, "GET", "/v1/file/page.txt")["public"] == shown["public"]
    assert "public" not in ask(server, "POST", "/v1/file/publish", {"key": "page.txt", "public": False})
    assert fetch(shown["public"])[0] == 404


@pytest.mark.parametrize("body", [{}, {"keys": []}, {"keys": ["a"], "folder": "b"}])
def test_a_removal_names_what_goes(server: Server, body: Any) -> None:
    with pytest.raises(cloud.CloudException, match="which keys to remove"):
        ask(server, "POST", "/v1/file/remove", body)


def test_a_link_needs_no_key_and_shows_nothing_that_acts(server: Server) -> None:
    put(server, "a/page é.html", b"<script>alert(1)</script>", "data")
    wish = {"key": "a/page é.html", "volume": "data"}
    saved, shown = (ask(server, "POST", "/v1/file/link", wish | {"inline": inline}) for inline in (False, True))
    assert urlsplit(saved["url"]).port != urlsplit(server.url).port, "another origin"
    status, told, body = fetch(saved["url"])
    assert (status, body) == (200, b"<script>alert(1)</script>")
    assert told["content-disposition"] == "attachment; filename*=UTF-8''page%20%C3%A9.html"
    assert told["content-type"] == "application/octet-stream" and told["x-content-type-options"] == "nosniff"
    _, told, _ = fetch(shown["url"])
    assert told["content-type"] == "text/plain; charset=utf-8" and told["content-security-policy"].startswith("sandbox;")
    assert f"frame-ancestors {server.url}" in told["content-security-policy"]
    assert fetch(saved["url"], Range="bytes=1-6")[::2] == (206, b"script")
    assert fetch(saved["url"].replace("/file/", "/file/x"))[0] == 403
    assert fetch(saved["url"], "POST", b"x")[0] == 400
    ask(server, "POST", "/v1/file/remove", {"keys": ["a/page é.html"], "volume": "data"})
    assert fetch(saved["url"])[0] == 404
    with pytest.raises(cloud.CloudException, match="there is no"):
        ask(server, "POST", "/v1/file/link", wish)


def test_a_link_ends(server: Server) -> None:
    put(server, "brief", b"1")
    made = ask(server, "POST", "/v1/file/link", {"key": "brief", "seconds": 1})
    deadline = time.monotonic() + 60
    while fetch(made["url"])[0] != 403:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert time.time() * 1000 >= made["until"]


def test_a_link_ends_with_its_account(server: Server) -> None:
    made = server.picloud("admin", "account", "add", "linklab")
    theirs = At(server.url, str(made["api_key"]), made["api_secretkey"])
    (blob,) = call(theirs, "POST", "/v1/blob", {"sizes": [4]})["blobs"]
    fetch(blob["url"], "PUT", b"hers")
    call(theirs, "POST", "/v1/bucket/own.txt", {"blobs": [blob["id"]]})
    link = call(theirs, "POST", "/v1/file/link", {"key": "own.txt"})["url"]
    assert fetch(link)[2] == b"hers"
    server.picloud("admin", "account", "deactivate", "linklab")
    assert fetch(link)[0] == 404


def test_a_page_uploads_in_parts_and_sends_one_again(server: Server) -> None:
    parts = [os.urandom(2 * MIB), os.urandom(2 * MIB), b"the rest"]
    places = ask(server, "POST", "/v1/blob", {"sizes": [len(part) for part in parts]})["blobs"]
    own = {"Origin": server.url}
    status, told, _ = fetch(places[0]["url"], "OPTIONS", **own, Access_Control_Request_Method="PUT")
    assert status == 204 and told["access-control-allow-origin"] == server.url and "PUT" in told["access-control-allow-methods"]
    for place, part in zip(places, parts, strict=True):
        status, told, _ = fetch(place["url"], "PUT", part, **own)
        assert status == 200 and told["access-control-allow-origin"] == server.url
    assert fetch(places[1]["url"], "PUT", parts[1], **own)[0] == 200, "its answer was lost"
    ask(server, "POST", "/v1/bucket/large.bin", {"blobs": [place["id"] for place in places]})
    link = ask(server, "POST", "/v1/file/link", {"key": "large.bin"})["url"]
    assert fetch(link)[2] == b"".join(parts)


def test_foreign_pages_are_told_nothing(server: Server) -> None:
    put(server, "mine.txt", b"mine")
    link = ask(server, "POST", "/v1/file/link", {"key": "mine.txt"})["url"]
    for origin in ("http://evil.example", "null", "http://127.0.0.1:1"):
        for method, more in (("OPTIONS", {"Access_Control_Request_Method": "GET"}), ("GET", {})):
            _, told, _ = fetch(link, method, Origin=origin, **more)
            assert not any(name.startswith("access-control-allow-origin") for name in told)
    _, told, body = fetch(link, Origin=server.url)
    assert told["access-control-allow-origin"] == server.url and body == b"mine"
    assert "etag" in told["access-control-expose-headers"]
