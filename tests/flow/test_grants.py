"""The grant programme against a real server: accounts apply, the owner reads, awards and declines."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import cloud
from picloud.wire.award import LARGEST_FILE
from picloud.wire.error import BadRequest, Conflict, Forbidden, NotFound
from picloud.wire.link import Link
from picloud.wire.money import DOLLAR
from tests.conftest import PICLOUD, Server, serving

TOLD = {"name": "Ann Example", "institution": "Example University", "position": "postdoc"}


class Applicant:
    """An account of its own, with a home of its own."""

    def __init__(self, server: Server, name: str, home: Path) -> None:
        made = server.picloud("admin", "account", "add", name)
        self.name, self.home, self._url = name, home, server.url
        self.key, self.secret = made["api_key"], made["api_secretkey"]
        home.mkdir()
        self.run("setup", server.url, "-a", str(self.key), "-k", self.secret)

    def use(self) -> None:
        cloud.setkey(self.key, self.secret, self._url)

    def run(self, *words: str, code: int = 0, said: str = "") -> str:
        env = {**os.environ, "PICLOUD_HOME": str(self.home)}
        done = subprocess.run([*PICLOUD, *words], env=env, input=said, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def json(self, *words: str) -> Any:
        return json.loads(self.run("--json", *words))


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server of its own: calls are everybody's."""
    with serving(f"interpreters = {[tempfile.gettempdir(), sys.prefix, sys.base_prefix]}\n") as made:
        yield made


@pytest.fixture(scope="module")
def applicants(server: Server, tmp_path_factory: pytest.TempPathFactory) -> list[Applicant]:
    root = tmp_path_factory.mktemp("applicants")
    return [Applicant(server, name, root / name) for name in ("grantann", "grantbob", "granteve")]


@pytest.fixture
def owner(server: Server) -> Iterator[Link]:
    link = Link(server.url, key=server.key, secret=server.secret)
    yield link
    link.close()


def sent_of(server: Server, call: str) -> dict[str, Any]:
    return {one["account"]: one for one in server.picloud("admin", "call", "applications", call)}


def test_two_of_three_applicants_win(server: Server, applicants: list[Applicant], tmp_path: Path) -> None:
    server.picloud("admin", "call", "open", "autumn", "30d", "--awards", "2", "--expires", "1y")
    plan = tmp_path / "plan.pdf"
    plan.write_bytes(b"%PDF of cells")
    (tmp_path / "research.txt").write_text("Cells divide.\n\nWe <b>count</b> them.\n")
    for one in applicants:
        one.use()
        assert [found["name"] for found in cloud.grant.calls()] == ["autumn"]
        told = [word for name, value in TOLD.items() for word in (f"--{name}", value)]
        made = one.json("grant", "apply", *told, "--research", str(tmp_path / "research.txt"), "-f", str(plan))
        assert (made["state"], made["attachments"]) == ("sent", [{"name": "plan.pdf", "size": 13}])
    plan.unlink()
    found = sent_of(server, "autumn")
    ann, bob, eve = (found[one.name]["application"] for one in applicants)
    told = subprocess.run([*PICLOUD, "admin", "call", "read", str(ann), "--save", str(tmp_path / "ann")], text=True, timeout=60,
                          env={**os.environ, "PICLOUD_HOME": str(server.home)}, capture_output=True, check=True)  # fmt: skip
    assert "Cells divide.\n\nWe <b>count</b> them." in told.stdout and "plan.pdf (13 bytes)" in told.stdout
    assert (tmp_path / "ann" / "plan.pdf").read_bytes() == b"%PDF of cells"
    for number in (ann, bob):
        server.picloud("admin", "call", "award", str(number), "--note", "well done")
    won = server.picloud("admin", "call", "award", str(ann))
    server.picloud("admin", "call", "decline", str(eve), "--note", "next time")
    for one, state, note, left in zip(applicants, ("awarded", "awarded", "declined"), ("well done", "well done", "next time"),
                                      (501.0, 501.0, 1.0), strict=True):  # fmt: skip
        one.use()
        (mine,) = cloud.grant.status()
        assert (mine["state"], mine["note"], cloud.credit()["dollars"]["left"]) == (state, note, left)
        assert state in one.run("grant", "status")
    applicants[0].use()
    assert [(each["id"], each["amount"], each["reason"]) for each in cloud.credit()["grants"]] == [
        (won["grant"], 500 * DOLLAR, "award: autumn")
    ]
    with pytest.raises(Conflict, match="awarded"):
        cloud.grant.withdraw()
    server.picloud("admin", "call", "close", "autumn")
    with pytest.raises(NotFound, match="no call is open"):
        cloud.grant.apply(research="more")
    (row,) = server.picloud("admin", "call", "list")
    assert (row["open"], row["given"], row["awards"], row["applications"]) == (False, 2, 2, 3)
    acts = {(act["act"], act["account"]) for act in server.picloud("admin", "audit")}
    assert acts >= {("application", "grantann"), ("call.open", server.account()), ("call.close", server.account()),
                    ("application.award", server.account()), ("application.decline", server.account())}  # fmt: skip


def test_what_is_sent_can_be_changed_until_the_call_closes(server: Server, applicants: list[Applicant], tmp_path: Path) -> None:
    server.picloud("admin", "call", "open", "winter term", "2031-01-31T12:00", "--amount", "12.50")
    applicants[0].use()
    (call,) = cloud.grant.calls()
    assert (call["deadline"], call["dollars"], call["expires"]) == (datetime(2031, 1, 31, 12, tzinfo=UTC), 12.5, None)
    with pytest.raises(BadRequest, match="institution"):
        cloud.grant.apply(name="Ann", research="x")
    paper = tmp_path / "paper.txt"
    paper.write_text("first")
    cloud.grant.apply(**TOLD, research="x", attachments=[paper])
    changed = cloud.grant.apply(research="better", call="winter term")
    assert changed["attachments"] and (changed["research"], changed["name"]) == ("better", "Ann Example")
    applicants[0].run("grant", "apply", "--attach-none", "--biography", "-", said="I count cells.\n")
    mine = cloud.grant.status()[0]
    assert mine["attachments"] == [] and mine["biography"] == "I count cells."
    assert "withdrawn" in applicants[0].run("grant", "withdraw")
    assert sent_of(server, "winter term")["grantann"]["state"] == "withdrawn"
    os.truncate(paper, LARGEST_FILE + 1)
    with pytest.raises(BadRequest, match="MiB"):
        cloud.grant.apply(attachments=[paper])
    for wrong in ({"attachments": str(paper)}, {"name": 7}):
        with pytest.raises(TypeError):
            cloud.grant.apply(**wrong)  # type: ignore[arg-type]
    assert "no plain text" in applicants[0].run("grant", "apply", "--name", "\x1b[2J", code=3)
    server.picloud("admin", "call", "close", "winter term")
    with pytest.raises(Conflict, match="closed"):
        cloud.grant.apply(research="late", call="winter term")


def test_accounts_see_nothing_of_each_other(server: Server, applicants: list[Applicant], owner: Link, tmp_path: Path) -> None:
    server.picloud("admin", "call", "open", "spring", "30d")
    secret = tmp_path / "plan.txt"
    secret.write_text("only for the owner")
    ann, bob, _ = applicants
    ann.use()
    cloud.grant.apply(**TOLD, research="hers", attachments=[secret])
    number = sent_of(server, "spring")["grantann"]["application"]
    bobs = Link(server.url, key=str(bob.key), secret=bob.secret)
    for path in ("application?call=spring", f"application?application={number}", "call"):
        with pytest.raises(Forbidden):
            bobs.json("GET", f"/v1/admin/{path}")
    for act in ("award", "decline", "attachment"):
        with pytest.raises(Forbidden):
            bobs.json("POST", f"/v1/admin/application/{act}", {"application": number, "name": "plan.txt"})
    assert "hers" not in json.dumps(bobs.json("GET", "/v1/grant/application"))
    url = owner.json("POST", "/v1/admin/application/attachment", {"application": number, "name": "plan.txt"})["url"]
    assert owner.get(url) == b"only for the owner"
    blob = url.split("/blob/")[1].split("?")[0]
    with pytest.raises(NotFound):  # who has learned its id has not got it
        bobs.json("POST", "/v1/blob/get", {"ids": [blob]})
    body = {"call": "spring", **TOLD, "research": "his", "attachments": [{"name": "plan.txt", "blob": blob}]}
    with pytest.raises(NotFound):
        bobs.json("POST", "/v1/grant/application", body)
    bobs.close()
    with pytest.raises(NotFound):
        owner.json("POST", "/v1/blob/get", {"ids": [blob]})


def test_admins_at_once_award_once(server: Server, applicants: list[Applicant], owner: Link) -> None:
    numbers = []
    for one in applicants[1:]:
        one.use()
        numbers.append(cloud.grant.apply(call="spring", **TOLD, research="x")["application"])

    def award(number: int) -> Any:
        link = Link(server.url, key=server.key, secret=server.secret)
        try:
            return link.json("POST", "/v1/admin/application/award", {"application": number})["grant"]
        except Conflict:
            return None
        finally:
            link.close()

    with ThreadPoolExecutor(8) as pool:
        given = set(pool.map(award, numbers * 8)) - {None}
    assert len(given) == 1, "one award, whoever asks how often"
    acts = [
        act for act in server.picloud("admin", "audit") if act["act"] == "application.award" and act["facts"]["grant"] in given
    ]
    assert len(acts) == 1


def test_jobs_do_not_apply(server: Server) -> None:
    def apply() -> str:
        try:
            return str(cloud.grant.apply(name="job", institution="i", position="p", research="r"))
        except cloud.CloudException as error:
            return type(error).__name__

    assert cloud.result(cloud.call(apply)) == "Forbidden"


@pytest.mark.parametrize(
    "words",
    [
        ("open", "x", "yesterday"), ("open", "x", "2020-01-01"), ("open", "x", "30d", "--awards", "0"),
        ("open", "x", "30d", "--amount", "nan"), ("open", "x", "30d", "--amount", "-1"), ("award", "0"), ("decline", "123456"),
        ("read", "123456"), ("applications", "nothing"), ("close", "nothing"), ("open", "a\x1b[2J", "30d"),
    ],
)  # fmt: skip
def test_bad_input_is_refused(server: Server, words: tuple[str, ...]) -> None:
    done = subprocess.run([*PICLOUD, "admin", "call", *words], env={**os.environ, "PICLOUD_HOME": str(server.home)}, timeout=60,
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode in (2, 3) and "Traceback" not in done.stderr, done.stderr
