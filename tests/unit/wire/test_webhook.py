"""Where messages of webhooks may go, and how they are signed."""

from __future__ import annotations

import ipaddress
import time
from typing import Any

import pytest

import cloud
from picloud.wire.error import BadRequest
from picloud.wire.webhook import check_target, check_url, is_allowed, sign

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
LISTED = [ipaddress.ip_network(one) for one in ("10.1.0.0/16", "fd00::/8")]


def test_the_published_example_of_standard_webhooks() -> None:
    made = sign(SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("url", ["https://example.org", "http://example.org:8080/a?b=c&d=%20", "https://[2606:4700::1111]/x"])
def test_urls(url: str) -> None:
    assert check_url(url) == check_target(url, []) == url


@pytest.mark.parametrize(
    "url",
    [
        "", "example.org", "ftp://example.org", "file:///etc/passwd", "https://", "https:///x", "https://ann:pw@example.org/",
        "https://example.org/\r\nX: y", "https://example.org/a b", "https://exämple.org", "https://example.org:0",
        "https://example.org:99999", "http://[::1", "https://example.org/" + "x" * 2000, "javascript:1", "//example.org",
    ],
)  # fmt: skip
def test_what_is_no_url(url: str) -> None:
    with pytest.raises(BadRequest):
        check_url(url)


def test_no_text_at_all() -> None:
    for wrong in (None, 5, b"https://example.org", ["https://example.org"]):
        with pytest.raises(TypeError):
            check_url(wrong)


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "::ffff:1.1.1.1", "10.1.2.3", "fd00::1",
                                     "::ffff:10.1.2.3", "64:ff9b::101:101", "2002:101:101::1"])  # fmt: skip
def test_public_and_listed_addresses(address: str) -> None:
    assert is_allowed(ipaddress.ip_address(address), LISTED)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "0.0.0.0", "10.2.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "224.0.0.1",
        "240.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1", "::1", "::", "fe80::1", "fc00::1", "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::1", "2001:0:7f00:1::", "2001:db8::1",
    ],
)  # fmt: skip
def test_other_addresses(address: str) -> None:
    assert not is_allowed(ipaddress.ip_address(address), LISTED)
    host = f"[{address}]" if ":" in address else address
    with pytest.raises(BadRequest, match="is not public"):
        check_target(f"https://{host}/x", LISTED)


def message(**changes: Any) -> dict[str, Any]:
    body, sent = b'{"type": "job.done"}', int(time.time())
    headers = {"Webhook-Id": "evt_1", "WEBHOOK-TIMESTAMP": str(sent), "webhook-signature": sign(SECRET, "evt_1", sent, body)}
    return {"secret": SECRET, "headers": headers | changes.pop("headers", {}), "body": body, **changes}


def test_a_receiver_verifies() -> None:
    assert cloud.webhook.verify(**message()) == {"type": "job.done"}
    other = "v1,AAAA " + message()["headers"]["webhook-signature"]
    assert cloud.webhook.verify(**message(headers={"webhook-signature": other})), "one of several is enough"
    for changes, why in [
        ({"body": b'{"type": "job.done"} '}, "not signed"),
        ({"secret": "whsec_AAAA"}, "not signed"),
        ({"headers": {"webhook-signature": ""}}, "not signed"),
        ({"headers": {"Webhook-Id": "evt_2"}}, "not signed"),
        ({"headers": {"WEBHOOK-TIMESTAMP": "x"}}, "no time"),
        ({"headers": {"WEBHOOK-TIMESTAMP": str(int(time.time()) - 400)}}, "too old"),
        ({"headers": {"WEBHOOK-TIMESTAMP": str(int(time.time()) + 400)}}, "too old"),
        ({"headers": {"WEBHOOK-TIMESTAMP": "9" * 5000}}, "too old"),
    ]:
        with pytest.raises(ValueError, match=why):
            cloud.webhook.verify(**message(**changes))
