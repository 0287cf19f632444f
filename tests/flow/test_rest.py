"""Addresses of functions, called as any program may call them: by bare HTTP."""

from __future__ import annotations

import base64
import http.client
import io
import json
import os
import subprocess
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

import cloud
from cloud import _session
from picloud.wire.error import BadRequest, NotFound
from tests.conftest import PICLOUD, Server

pytestmark = [pytest.mark.slow, pytest.mark.live]
FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def label(server: Server, request: pytest.FixtureRequest) -> Iterator[str]:
    """A label of one test; its address goes behind it."""
    made = request.node.name[5:90].replace("[", "-").replace("]", "-")
    yield made
    if made in cloud.rest.list():
        cloud.rest.remove(made)


class Answer:
    """What a server said."""

    def __init__(self, status: int, headers: Any, body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body

    def json(self) -> Any:
        return json.loads(self.body)

    def error(self) -> str:
        return str(self.json()["error"]["message"])


def http_(method: str, url: str, body: Any = b"", kind: str = FORM, key: str = "") -> Answer:
    """One request as curl -u KEY:SECRET makes it."""
    at, session = urlsplit(url), _session.session()
    auth = base64.b64encode((key or f"{session.key}:{session.secret}").encode()).decode()
    link = http.client.HTTPConnection(at.hostname or "", at.port or 80, timeout=60)
    try:
        data = body if isinstance(body, bytes | str) else urlencode(body)
        link.request(method, f"{at.path}?{at.query}", data, {"Authorization": f"Basic {auth}", "Content-Type": kind})
        found = link.getresponse()
        return Answer(found.status, found.headers, found.read())
    finally:
        link.close()


def area(width: float, height: float = 1.0, *, name: str | None = None) -> dict[str, Any]:
    """The area of a rectangle. <b>&"""
    return {"area": width * height, "name": name}


def test_submit_poll_fetch(server: Server, label: str) -> None:
    url = cloud.rest.publish(area, label)
    assert urlsplit(url).path.startswith("/r/") and url.endswith("/" + label)
    answer = http_("POST", url, {"width": "3", "height": "2.5", "name": '"Ädä & co"'})
    assert answer.status == 200 and answer.headers["Content-Type"] == "application/json"
    jid = answer.json()["jid"]
    assert answer.json() == {"jid": jid}
    found = http_("GET", f"{url}/result?jid={jid}&wait=40")
    assert found.status == 200
    assert found.json() == {"jid": jid, "status": "done", "result": {"area": 7.5, "name": "Ädä & co"}}
    base = f"{server.url}/v1/job/{jid}"
    assert http_("GET", f"{base}/status").json() == {"jid": jid, "status": "done"}
    assert http_("GET", f"{base}/result").json() == found.json()
    assert cloud.result(jid) == {"area": 7.5, "name": "Ädä & co"}, "and Python gets the value"
    assert cloud.info(jid, ["label"])[jid]["label"] == label


def test_a_synchronous_call_in_each_form(server: Server, label: str) -> None:
    url = cloud.rest.publish(area, label)
    part = '--b\r\nContent-Disposition: form-data; name="width"\r\n\r\n3\r\n--b--\r\n'
    for kind, body, result in [
        (FORM, "width=3&height=4", 12),
        ("application/json", '{"width": 3, "height": 4}', 12),
        ("multipart/form-data; boundary=b", part, 3),
    ]:
        answer = http_("POST", f"{url}/?wait=40", body, kind)
        assert answer.status == 200 and answer.json()["result"]["area"] == result, answer.body
        assert answer.headers["X-PiCloud-Jid"] == str(answer.json()["jid"])


def test_arguments_are_checked_before_anything_is_stored(server: Server, label: str) -> None:
    url = cloud.rest.publish(area, label)
    before = cloud.jobs(limit=1)
    for body, why in [
        ({"height": "2"}, "without 'width'"),
        ({"width": "1", "depth": "2"}, "with 'depth', which it does not take"),
        ({"width": '"1"'}, "'width' is of type number"),
        ({"width": "one"}, "'width' is no JSON"),
        ({"width": "1", "name": "5"}, "'name' is of type string"),
    ]:
        answer = http_("POST", url, body)
        assert answer.status == 400 and why in answer.error(), answer.body
    for query in ("?wait=x", "?wait=-1", "?wait=61", "?wait=nan", f"?key={'k' * 201}"):
        assert http_("POST", url + query, {"width": "1"}).status == 400
    assert http_("POST", url, b"x" * 100, "text/csv").status == 400
    assert cloud.jobs(limit=1) == before


def test_files_and_raw_bytes(server: Server, label: str) -> None:
    def repeated(data: bytes, times: int) -> bytes:
        return data * times

    url = cloud.rest.publish(repeated, label, out_encoding="raw")
    data = bytes(range(256)) + b"\r\n--b\r\n"
    jid = cloud.rest.invoke(label, data=io.BytesIO(data), times=3)
    assert cloud.result(jid) == data * 3
    answer = http_("GET", f"{url}/result?jid={jid}")
    assert answer.body == data * 3 and answer.headers["Content-Type"] == "application/octet-stream"
    large = os.urandom(300_000)
    jid = cloud.rest.invoke(label, data=large, times=2)
    answer = http_("GET", f"{url}/result?jid={jid}&wait=40")
    assert answer.status == 200 and answer.body == large * 2


def test_a_large_json_answer(server: Server, label: str) -> None:
    url = cloud.rest.publish(lambda n: ["ä"] * n, label)
    assert http_("POST", f"{url}?wait=40", {"n": "50000"}).json()["result"] == ["ä"] * 50_000


def test_a_map(server: Server, label: str) -> None:
    url = cloud.rest.publish(area, label)
    answer = http_("POST", f"{url}/map", {"width": "[1, 2, 3]", "height": "[10]"})
    first, last = map(int, answer.json()["jids"].split("-"))
    assert last - first == 2
    assert [one["area"] for one in cloud.result(range(first, last + 1))] == [10, 20, 30]
    assert [one["area"] for one in cloud.result(cloud.rest.invoke_map(label, width=[1, 2], height=[3, 4]))] == [3, 8]
    for body, why in [({"width": "1"}, "no list"), ({"width": "[1,2]", "height": "[1,2,3]"}, "different lengths")]:
        answer = http_("POST", f"{url}/map/", body)
        assert answer.status == 400 and why in answer.error()
    with pytest.raises(BadRequest, match="501 jobs"):
        cloud.rest.invoke_map(label, width=[*range(501)])


def test_a_repeat_with_the_same_key_is_the_same_job(server: Server, label: str) -> None:
    url = cloud.rest.publish(area, label)
    first, again = (http_("POST", f"{url}?key=abc", {"width": "1"}) for _ in range(2))
    assert first.json() == again.json()
    assert http_("POST", f"{url}?key=abc", {"width": "2"}).status == 409
    assert http_("POST", f"{url}?key=abd", {"width": "2"}).json() != first.json()


def test_a_job_that_fails_and_one_that_is_not_over(server: Server, label: str) -> None:
    url = cloud.rest.publish(lambda: {1}, label)
    answer = http_("POST", f"{url}?wait=40")
    assert answer.status == 422
    error = answer.json()["error"]
    assert (error["code"], error["status"], error["facts"]["cause"]) == ("job", "error", "exception")
    assert "JSON cannot say" in error["message"] and error["jid"] > 0
    import signal

    url = cloud.rest.publish(lambda: signal.pause(), label)
    answer = http_("POST", f"{url}?wait=0.05")
    assert answer.status == 202 and answer.json()["status"] in ("queued", "processing")
    jid = answer.json()["jid"]
    cloud.kill(jid)
    answer = http_("GET", f"{url}/result?jid={jid}&wait=20")
    assert answer.status == 422 and answer.json()["error"]["status"] == "killed"


def test_results_of_other_jobs(server: Server) -> None:
    """Bytes are bytes wherever they come from; what only Python knows is refused with a hint."""
    jids = [cloud.call(lambda: b"plain"), cloud.call(lambda: {1, 2})]
    cloud.join(jids)
    assert http_("GET", f"{server.url}/v1/job/{jids[0]}/result").body == b"plain"
    answer = http_("GET", f"{server.url}/v1/job/{jids[1]}/result")
    assert answer.status == 400 and "neither JSON nor bytes" in answer.error()
    assert http_("GET", f"{server.url}/v1/job/{10**17}/result").status == 404
    assert http_("GET", f"{server.url}/v1/job/{10**17}/status").status == 404


def test_what_an_address_says_about_itself(server: Server, label: str) -> None:
    url = cloud.rest.publish(area, label)
    told = cloud.rest.info(label)
    assert (told["label"], told["uri"], told["output_encoding"]) == (label, url, "json")
    assert told["signature"] == "(width, height=1.0, name=null)" and told["description"].startswith("The area")
    assert [(one["name"], one["required"], one["kind"], one["default"]) for one in told["parameters"]] == [
        ("width", True, "number", ""), ("height", False, "number", "1.0"), ("name", False, "string", "null")]  # fmt: skip
    assert not told["others"]
    made = http_("GET", f"{url}/openapi.json").json()
    assert made["openapi"] == "3.1.0" and set(made["paths"]) == {urlsplit(url).path + end for end in ("", "/map", "/result")}
    schema = made["paths"][urlsplit(url).path]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert schema["properties"] == {"width": {"type": "number"}, "height": {"type": "number", "default": 1.0},
                                    "name": {"type": ["string", "null"], "default": None}}  # fmt: skip
    assert schema["required"] == ["width"] and schema["additionalProperties"] is False
    page = http_("GET", url)
    text = page.body.decode()
    assert (
        page.headers["Content-Type"].startswith("text/html") and "default-src 'none'" in page.headers["Content-Security-Policy"]
    )
    assert "&lt;b&gt;&amp;" in text and "<b>" not in text and "<script" not in text
    assert "src=" not in text and f"href='{urlsplit(url).path}/openapi.json'" in text


def test_others_are_not_let_in(server: Server, label: str) -> None:
    url = cloud.rest.publish(area, label)
    number = int(urlsplit(url).path.split("/")[2])
    assert http_("POST", url, {"width": "1"}, key="1:wrong").status == 401
    assert http_("POST", url.replace(f"/r/{number}/", f"/r/{number + 1}/"), {"width": "1"}).status == 404
    for odd in ("%2e%2e", "a%2Fb", "a%0d%0aX:y", "x" * 101, "a'b"):
        assert http_("GET", f"{server.url}/r/{number}/{odd}").status == 404
    with pytest.raises(BadRequest, match="no label"):
        cloud.rest.publish(area, "a/b")
    with pytest.raises(ValueError, match="'json' or 'raw'"):
        cloud.rest.publish(area, label, "pickle")
    cloud.rest.remove(label)
    assert http_("POST", url, {"width": "1"}).status == 404
    with pytest.raises(NotFound):
        cloud.rest.invoke(label, width=1)
    cloud.rest.publish(area, label)
    with pytest.raises(TypeError, match="JSON cannot say the value of 'width'"):
        cloud.rest.invoke(label, width={1})


def test_programs_by_commands(server: Server, label: str, tmp_path: Any) -> None:
    def picloud(*words: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PICLOUD_HOME": str(server.home)}
        return subprocess.run([*PICLOUD, *words], env=environment, capture_output=True, text=True, timeout=60, check=False)

    (tmp_path / "words").write_text("one two three")
    published = picloud("rest", "publish", label, "wc -w < {file}; echo {n}")
    assert published.returncode == 0 and published.stdout.strip().endswith(f"/{label}"), published.stderr
    assert label in picloud("rest", "list").stdout.split()
    assert "(file, n)" in picloud("rest", "info", label).stdout
    jid = picloud("rest", "invoke", label, "-d", f"file=@{tmp_path}/words", "-d", "n=a b").stdout.strip()
    assert picloud("result", jid).stdout.split() == ["3", "a", "b"]
    jids = server.picloud("rest", "mapinvoke", label, "-d", f"file=@{tmp_path}/words", "-n", "n=1,2")["jids"]
    assert [value.split() for value in cloud.result(jids)] == [[b"3", b"1"], [b"3", b"2"]]
    wrong = picloud("rest", "invoke", label, "-d", "n=1")
    assert wrong.returncode == 3 and "without 'file'" in wrong.stderr
    assert picloud("rest", "remove", label).returncode == 0
    assert picloud("rest", "info", label).returncode == 3
