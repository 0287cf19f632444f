"""What is posted to an address: forms, JSON, multipart, and everything that can be wrong with them."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from cloud import _endpoints
from picloud.server.posted import MOST, Value, read
from picloud.server.published import check, mapped, payloads, single
from picloud.wire import payload
from picloud.wire.call import Endpoint, Parameter
from picloud.wire.error import BadRequest, TooLarge

FORM, JSON = "application/x-www-form-urlencoded", "application/json"


def values(kind: str, body: bytes) -> dict[str, Any]:
    return {name: one.value if one.file is None else one.file for name, one in read(kind, body).items()}


def test_a_form_has_json_values() -> None:
    found = values(FORM + "; charset=utf-8", b"x=1&y=%22a%26b+c%22&z=%5B1%2C2%5D&n=null&u=%22%C3%A4%22")
    assert found == {"x": 1, "y": "a&b c", "z": [1, 2], "n": None, "u": "ä"}
    assert values(FORM, b"") == values("", b"") == {}


def test_json_is_an_object_of_arguments() -> None:
    assert values(JSON, b'{"x": {"y": [1, 2.5, "a"]}, "n": 123456789012345678901234567890}') == {
        "x": {"y": [1, 2.5, "a"]},
        "n": 123456789012345678901234567890,
    }
    assert values(JSON, b"") == values(JSON, b"{}") == {}


def multipart(*parts: tuple[str, bytes], boundary: str = "xyz") -> bytes:
    return (
        b"".join(f"--{boundary}\r\n{head}\r\n\r\n".encode() + data + b"\r\n" for head, data in parts)
        + f"--{boundary}--\r\n".encode()
    )


def test_multipart_has_values_and_files() -> None:
    body = multipart(
        ('Content-Disposition: form-data; name="n"', b"5"),
        (
            'content-disposition: form-data; name="f"; filename="a.bin"\r\nContent-Type: application/octet-stream',
            b"\r\n--xy\0\xff\r\n",
        ),
        ('Content-Disposition: form-data; name="a\\"b"', b'"q"'),
        ('Content-Disposition: form-data; name="empty"; filename=""', b""),
    )
    kind = 'multipart/form-data; boundary="xyz"'
    assert values(kind, body) == {"n": 5, "f": b"\r\n--xy\0\xff\r\n", 'a"b': "q", "empty": b""}
    assert values("Multipart/Form-Data; charset=utf-8; Boundary=xyz", body)["n"] == 5
    assert values(kind, b"a preamble\r\n" + body + b"an epilogue")["n"] == 5


@given(some.binary(max_size=500), some.text(some.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30))
def test_what_our_client_sends_is_what_is_read(data: bytes, name: str) -> None:
    kind, body = _endpoints._body({name: data, "other" + name: [name]})
    assert values(kind, body) == {name: data, "other" + name: [name]}
    kind, body = _endpoints._body({name: {"a": name}})
    assert values(kind, body) == {name: {"a": name}}


@pytest.mark.parametrize(
    ("kind", "body", "why"),
    [
        (FORM, b"x=abc", "the value of 'x' is no JSON"),
        (FORM, b"x", "the value of 'x' is no JSON"),
        (FORM, b"x=1&x=2", "'x' is given twice"),
        (FORM, b"x=%FF", "no UTF-8"),
        (FORM, b"%FF=1", "no UTF-8"),
        (FORM, b"x=NaN", "NaN is no JSON number"),
        (FORM, b"x=-Infinity", "no JSON number"),
        (FORM, b"x=" + b"[" * 100_000, "nested too deeply"),
        (FORM, b"x=" + b"9" * 5000, "no JSON"),
        (FORM, b"&".join(b"x%d=1" % n for n in range(MOST + 1)), "more than 1000 arguments"),
        (JSON, b"[1]", "no JSON object"),
        (JSON, b"{", "the body is no JSON"),
        (JSON, b"\xff", "no UTF-8"),
        (JSON, b"null", "no JSON object"),
        ("text/plain", b"x=1", "not as text/plain"),
        ("", b"x=1", "not as nothing"),
        ("multipart/form-data", b"", "has a boundary"),
        ("multipart/form-data; boundary=xyz", b"", "ends before its last boundary"),
        ("multipart/form-data; boundary=xyz", b"--xyz\r\nContent-Disp", "ends before its last boundary"),
        ("multipart/form-data; boundary=xyz", multipart(("X: y", b"1")), "has no name"),
        ("multipart/form-data; boundary=xyz", multipart(('Content-Disposition: form-data; name="x"', b"abc")), "'x' is no JSON"),
    ],
)
def test_what_is_wrong_is_told(kind: str, body: bytes, why: str) -> None:
    with pytest.raises(BadRequest, match=why):
        read(kind, body)


@given(some.sampled_from([FORM, JSON, "multipart/form-data; boundary=a"]), some.binary(max_size=200))
def test_garbage_is_refused_or_read(kind: str, body: bytes) -> None:
    with suppress(BadRequest):
        assert isinstance(read(kind, body), dict)


ENDPOINT = Endpoint(
    [Parameter("n", kind="integer"), Parameter("x", False, "number", default="1.5"), Parameter("s", False, "string", null=True),
     Parameter("f", False, "file"), Parameter("any", False)]
)  # fmt: skip


def given_as(**values: Any) -> dict[str, Value]:
    return {name: Value(json.dumps(one), one) if not isinstance(one, bytes) else Value(file=one) for name, one in values.items()}


@pytest.mark.parametrize("good", [{"n": 1}, {"n": 0, "x": 1, "s": None}, {"n": 5, "f": b"", "any": [1]}, {"n": 5, "any": b"z"}])
def test_arguments_that_fit(good: dict[str, Any]) -> None:
    check(ENDPOINT, given_as(**good))


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ({}, "without 'n'"),
        ({"n": 1, "q": 2}, "with 'q', which it does not take"),
        ({"q": 2}, "without 'n' and with 'q'"),
        ({"n": 1.5}, "'n' is of type integer, not 1.5"),
        ({"n": True}, "'n' is of type integer, not true"),
        ({"n": None}, "'n' is of type integer, not null"),
        ({"n": 1, "x": "2"}, "'x' is of type number"),
        ({"n": 1, "s": 5}, "'s' is of type string"),
        ({"n": 1, "f": "text"}, "'f' is sent as a file"),
        ({"n": b"5"}, "'n' is a file, and not of type integer"),
    ],
)
def test_arguments_that_do_not_fit(bad: dict[str, Any], why: str) -> None:
    with pytest.raises(BadRequest, match=why):
        check(ENDPOINT, given_as(**bad))


def test_others_are_taken_where_the_function_does() -> None:
    check(Endpoint(others=True), given_as(a=1, b=b"2"))


def test_a_map_is_a_job_a_position() -> None:
    rows = mapped(ENDPOINT, given_as(n=[1, 2, 3], x=[9], f=b"file"))
    assert [{name: one.value or one.file for name, one in row.items()} for row in rows] == [
        {"n": n, "x": 9, "f": b"file"} for n in (1, 2, 3)
    ]
    assert [payload.loads(data) for data, _ in payloads(rows)][1] == ((b'{"n": 2, "x": 9}', {"f": b"file"}), {})
    assert payloads(rows)[0][1] == "n=1, x=9, f=<4 bytes>"
    assert len(mapped(ENDPOINT, given_as(n=[7]))) == 1
    assert payloads(single(Endpoint(), {})) == [(payload_of_nothing(), "")]


def payload_of_nothing() -> bytes:
    from picloud.wire.plain import call

    return call(b"{}", {})


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ({"n": 1}, "'n' is no list"),
        ({"n": []}, "'n' is no list with something in it"),
        ({"n": [1, 2], "x": [1, 2, 3]}, r"different lengths \(n: 2, x: 3\)"),
        ({"n": [1, "a"]}, "'n' is of type integer"),
        ({"x": [1]}, "without 'n'"),
        ({"n": [*range(501)]}, "501 jobs in one request"),
    ],
)
def test_a_map_that_does_not_fit(bad: dict[str, Any], why: str) -> None:
    with pytest.raises(BadRequest, match=why):
        mapped(ENDPOINT, given_as(**bad))


def test_a_map_of_too_many_bytes_is_refused() -> None:
    rows = mapped(ENDPOINT, given_as(n=[*range(100)], f=bytes(1 << 20)))
    with pytest.raises(TooLarge, match="64 MiB"):
        payloads(rows)


def test_signatures() -> None:
    def f(a: int, b: "float | None" = 2.5, *rest: int, c: str = "x", d: object = print, e: list[int], **more: Any) -> None:  # noqa: UP037
        pass

    found = _endpoints.signature(f)
    assert found.others and found.parameters == [
        Parameter("a", True, "integer"),
        Parameter("b", False, "number", True, "2.5"),
        Parameter("c", False, "string", False, '"x"'),
        Parameter("d", False),
        Parameter("e", True, "array"),
    ]
    with pytest.raises(ValueError, match="'x' cannot be given by name"):
        _endpoints.signature(lambda x, /: x)
    with pytest.raises(TypeError, match="a function is published"):
        _endpoints.signature(5)
