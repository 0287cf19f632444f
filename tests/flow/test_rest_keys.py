"""Keys that open one address and nothing else."""

from __future__ import annotations

import pytest

import cloud
from cloud import _session
from picloud.wire.error import NotFound
from tests.conftest import Server
from tests.flow.test_rest import http_, label

__all__ = ["label"]
pytestmark = [pytest.mark.slow, pytest.mark.live]


def area(width: int = 1, height: int = 1) -> int:
    return width * height


def test_keys_of_an_address_call_it_and_nothing_else(label: str, server: Server) -> None:
    url, other = cloud.rest.publish(area, label), cloud.rest.publish(area, f"{label}-other")
    made = cloud.rest.create_key(label, "for Ada")
    key = f"{made['api_key']}:{made['api_secretkey']}"
    done = http_("POST", f"{url}?wait=30", {"width": 6, "height": 7}, key=key)
    assert (done.status, done.json()["result"]) == (200, 42)
    assert http_("GET", f"{url}/result?jid={done.json()['jid']}", key=key).json()["result"] == 42
    assert http_("POST", f"{url}/map", {"width": "[1, 2]"}, key=key).status == 200
    assert http_("GET", f"{url}/openapi.json", key=key).json()["components"]["securitySchemes"]["key"]["scheme"] == "basic"
    assert http_("POST", other, key=key).status == 404
    theirs = cloud.call(area)
    cloud.join(theirs)
    assert http_("GET", f"{url}/result?jid={theirs}", key=key).status == 404, "a job that the address has not made"
    for method, path in (("GET", "/v1/server"), ("GET", "/v1/key/own"), ("GET", "/v1/job"), ("POST", "/v1/login/ticket"),
                         ("GET", "/v1/bucket"), ("GET", f"/v1/job/{done.json()['jid']}/result"),
                         ("POST", "/v1/logout")):  # fmt: skip
        found = http_(method, server.url + path, key=key)
        assert (found.status, found.json()["error"]["code"]) == (403, "forbidden"), path
    cloud.rest.remove(f"{label}-other")


def test_keys_of_an_address_are_listed_rotated_and_ended(label: str, server: Server) -> None:
    url = cloud.rest.publish(area, label)
    made = server.picloud("rest", "key", label, "-n", "for Ada", "--expires", "1d")
    old = f"{made['api_key']}:{made['api_secretkey']}"
    (listed,) = server.picloud("rest", "keys", label)
    assert listed == {name: value for name, value in made.items() if name != "api_secretkey"} and listed["note"] == "for Ada"
    assert http_("POST", url, key=old).status == 200
    new = server.picloud("rest", "rotate-key", str(made["api_key"]))
    assert http_("POST", url, key=old).status == 401
    key = f"{new['api_key']}:{new['api_secretkey']}"
    assert http_("POST", url, key=key).status == 200
    cloud.rest.publish(area, label)
    assert http_("POST", url, key=key).status == 200, "the address is the same when its function is another"
    again = cloud.rest.create_key(label)
    server.picloud("rest", "remove-key", str(made["api_key"]))
    assert http_("POST", url, key=key).status == 401
    cloud.rest.remove(label)
    cloud.rest.publish(area, label)
    assert http_("POST", url, key=f"{again['api_key']}:{again['api_secretkey']}").status == 401, "keys end with their address"
    with pytest.raises(NotFound):
        cloud.rest.rotate_key(again["api_key"])
    with pytest.raises(NotFound):
        cloud.rest.create_key("no-such")
    with pytest.raises(NotFound):
        cloud.rest.remove_key(int(_session.session().key))
