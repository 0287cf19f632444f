"""What of a request a job may see."""

import base64

import pytest

from picloud.edge.head import Head, check_origin, shown, to_job, to_visitor, without_entry
from picloud.wire.error import BadRequest

KEY = base64.b64encode(b"1234567:" + b"a" * 40).decode()


def test_a_head_is_parsed() -> None:
    head = Head.parse(b"GET /a?b=c HTTP/1.1\r\nHost: x.localhost:80\r\nOrigin: http://x.localhost:80\r\n\r\nrest")
    assert (head.method, head.path, head.host) == (b"GET", "/a?b=c", "x.localhost:80")
    check_origin(head)
    for origin in (b"http://y.localhost:80", b"http://x.localhost:81", b"null"):
        with pytest.raises(BadRequest):
            check_origin(Head(b"GET", "/", [(b"host", b"x.localhost:80"), (b"origin", origin)]))


def test_entries_are_found_and_taken_out() -> None:
    headers = [(b"cookie", b"a=1; picloud-entry=cookie"), (b"cookie", b"b=2")]
    head = Head(b"GET", "/p?x=1&picloud-entry=link&y=", headers)
    assert shown(head) == ("link", "cookie")
    assert without_entry(head.path) == "/p?x=1&y="
    assert without_entry("//evil.example/?picloud-entry=1") == "/"
    assert to_job(headers) == [(b"cookie", b"a=1"), (b"cookie", b"b=2")]
    assert to_job([(b"cookie", b"picloud-entry=x")]) == []
    assert to_job([(b"referer", b"http://x/?picloud-entry=1")]) == []


@pytest.mark.parametrize(
    ("value", "ours"),
    [
        (f"Basic {KEY}", True),
        (f"basic  {KEY}", True),
        ("Worker a:b", True),
        ("Edge x", True),
        ("Bearer " + "A" * 43, True),
        ("Bearer x", False),
        ("Basic dXNlcjpwYXNz", False),
        ("Basic !", False),
        ("token abc", False),
    ],
)
def test_our_credentials_and_those_of_the_program(value: str, ours: bool) -> None:
    header = (b"authorization", value.encode())
    assert to_job([header]) == ([] if ours else [header])
    assert to_job([(b"x-picloud-attempt", b"1")]) == []


def test_what_a_visitor_gets() -> None:
    answer = [
        (b"set-cookie", b"a=1; Domain=localhost; Path=/"),
        (b"set-cookie", b"picloud-entry=mine"),
        (b"connection", b"keep-alive"),
        (b"x-any", b"1"),
    ]
    assert to_visitor(answer) == [(b"set-cookie", b"a=1; Path=/"), (b"x-any", b"1")]
