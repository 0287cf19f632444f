"""Routes and addresses, in a network namespace of their own."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from typing import Any

import pytest

from picloud.sandbox import routes

SPACE = ["unshare", "--user", "--map-root-user", "--net"]

PRELUDE = """
import errno, json, os, socket, subprocess, threading
from picloud.sandbox import routes
def reach(address, port=9):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as link:
        try:
            link.connect((address, port))
        except OSError as error:
            return errno.errorcode[error.errno]
        return "ok"
def show(*found):
    print(json.dumps(found))
"""


def inside(body: str) -> Any:
    """Run lines of Python in a fresh network namespace, as its root; what they show."""
    if subprocess.run([*SPACE, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine allows no network namespace")
    done = subprocess.run([*SPACE, sys.executable, "-c", PRELUDE + body], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_link_comes_up() -> None:
    body = """
before = reach("127.0.0.1")
routes.up("lo")
show(before, reach("127.0.0.1"))
"""
    assert inside(body) == ["ENETUNREACH", "ok"]


def test_a_link_that_is_not_there_is_told() -> None:
    with pytest.raises(OSError, match=r"."):
        routes.up("no-such-link")


def test_prohibited_networks_are_refused_at_once_and_all_else_goes_its_way() -> None:
    body = """
routes.up("lo")
subprocess.run("ip addr add 203.0.113.5/24 dev lo; ip -6 addr add 2001:db8::5/64 dev lo nodad;"
               "ip route add default dev lo; ip -6 route add default dev lo", shell=True, check=True)
before = [reach(one) for one in ("169.254.169.254", "10.1.2.3", "fd00::1", "192.0.2.9")]
for _ in range(2):  # again changes nothing
    routes.blackhole([*routes.LINK_LOCAL, *routes.PRIVATE, "192.0.2.9", "2001:db8:1::7"])
show(before, [reach(one) for one in ("169.254.169.254", "10.1.2.3", "fd00::1", "192.0.2.9", "2001:db8:1::7")],
     [reach(one) for one in ("127.0.0.1", "203.0.113.77", "198.51.100.1", "192.0.2.8", "2001:db8::9", "2001:db8:1::8", "::1")])
"""
    before, after, others = inside(body)
    assert before == ["ok"] * 4
    assert after == ["EACCES"] * 5
    assert others == ["ok"] * 7


def test_a_longer_prefix_wins() -> None:
    body = """
routes.up("lo")
subprocess.run("ip addr add 10.0.2.100/24 dev lo", shell=True, check=True)
routes.blackhole(routes.PRIVATE)
show(reach("10.0.2.3"), reach("10.0.3.3"))
"""
    assert inside(body) == ["ok", "EACCES"]


def test_many_networks_at_once() -> None:
    body = """
routes.up("lo")
routes.blackhole([f"198.51.{third}.{last}" for third in (100, 101) for last in range(250)])
show(len(subprocess.run(["ip", "route"], capture_output=True, text=True).stdout.splitlines()), reach("198.51.101.249"))
"""
    assert inside(body) == [500, "EACCES"]


def test_a_machine_without_ipv6_has_nothing_to_prohibit_there() -> None:
    body = """
routes.up("lo")
if os.path.exists(off := "/proc/sys/net/ipv6/conf/all/disable_ipv6"):
    with open(off, "w") as file:
        file.write("1")
routes.blackhole(["fe80::/10", "10.0.0.0/8"])
show(reach("10.1.1.1"), reach("fe80::1") != "ok")
"""
    assert inside(body) == ["EACCES", True]


def test_what_is_no_network_is_refused_before_any_route_is_made() -> None:
    for wrong in ("", "10.0.0.0/33", "10.0.0.0/-1", "somewhere", "10.0.0.0/x", "fe80::/129"):
        with pytest.raises(ValueError, match="not a network"):
            routes.blackhole([wrong])


def test_without_rights_it_says_so() -> None:
    body = """
pid = os.fork()
if not pid:
    libc = __import__("ctypes").CDLL(None)
    libc.unshare(0x10000000)  # in a user namespace below, with no rights over the network
    try:
        routes.blackhole(["10.0.0.0/8"])
    except OSError as error:
        os._exit(error.errno)
    os._exit(0)
show(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""
    assert inside(body) == [errno.EPERM]


def test_addresses_are_those_that_others_could_reach() -> None:
    body = """
routes.up("lo")
subprocess.run("ip addr add 192.0.2.7/32 dev lo; ip addr add 127.0.0.2/32 dev lo; ip -6 addr add 2001:db8::7/64 dev lo nodad",
               shell=True, check=True)
show(routes.addresses())
"""
    assert inside(body) == [["192.0.2.7", "2001:db8::7"]]


def test_addresses_of_this_machine_can_be_prohibited_as_they_come() -> None:
    found = routes.addresses()
    assert not [one for one in found if one.startswith("127.") or one == "::1"]
    body = f"""
routes.up("lo")
routes.blackhole({found})
show([reach(one) for one in {[one for one in found if not one.startswith("fe80")]}])
"""
    assert set(inside(body)[0]) <= {"EACCES"}
