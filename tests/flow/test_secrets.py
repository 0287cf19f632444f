"""Secrets on a real server: in jobs of every sort, and nowhere else."""

from __future__ import annotations

import contextlib
import os
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import cloud
from cloud import _session
from picloud.cli.call import Server as At
from picloud.cli.call import call
from picloud.wire.error import BadRequest, CloudException, Forbidden, NotFound
from tests.conftest import PICLOUD, Server
from tests.flow.shells import sleeping, ssh

pytestmark = [pytest.mark.slow, pytest.mark.live]
VALUE = "correct-horse/battery staple"


@pytest.fixture
def db(server: Server) -> Iterator[str]:
    """A secret with one value."""
    assert cloud.secret.set("db", {"DB_PASSWORD": VALUE}) == []
    yield "db"
    if "db" in [one["name"] for one in cloud.secret.list()]:
        cloud.secret.remove("db")


def until(condition: Callable[[], Any], seconds: float = 40) -> Any:
    """The first true value; fails when the time is up."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)
    return found


def picloud(server: Server, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PICLOUD_HOME": str(server.home)}
    return subprocess.run([*PICLOUD, *words], env=environment, input=stdin, capture_output=True, text=True, timeout=60)


def everything(jid: int) -> str:
    """All that is told of a job."""
    return repr(cloud.info(jid, "all")) if jid else ""


def test_a_job_has_it_and_all_that_it_says_is_masked(server: Server, db: str) -> None:
    def says_it() -> str:
        import logging
        import sys
        import syslog

        value = os.environ["DB_PASSWORD"]
        print(f"out {value}", flush=True)
        print(f"err {value!r}", file=sys.stderr)
        os.write(1, b"cut " + value[:9].encode())
        time.sleep(0.3)  # so that it is looked at in between
        os.write(1, value[9:].encode() + b" end\n")
        os.system("printf '%s\\n' \"program $DB_PASSWORD\"")
        logging.warning("logged %s", value)
        syslog.syslog(f"system {value}")
        return value

    jid = cloud.call(says_it, _secrets=db)
    assert cloud.result(jid) == VALUE, "a result is the job's own affair"
    told = cloud.info(jid, ["stdout", "stderr", "logging"])[jid]
    assert told["stdout"] == "out ***\ncut *** end\nprogram ***\n"
    assert "err '***'\n" in told["stderr"] and "logged ***" in told["logging"]
    assert VALUE not in everything(jid) and "'db'" in everything(jid)
    assert VALUE not in "".join(map(repr, cloud.logs(jid)))


def test_it_is_gone_with_its_job(server: Server, db: str) -> None:
    get = lambda: os.environ.get("DB_PASSWORD")  # noqa: E731
    jids = [cloud.call(get, _secrets=name) for name in (db, None, [db], [])]
    assert cloud.result(jids) == [VALUE, None, VALUE, None]
    many = cloud.map(lambda x: (x, os.environ["DB_PASSWORD"]), range(200), _secrets=[db])
    assert cloud.result(many) == [(x, VALUE) for x in range(200)]


def test_failures_are_masked(server: Server, db: str) -> None:
    def raises() -> None:
        raise ConnectionError(f"postgres://ann:{os.environ['DB_PASSWORD']}@db", {"why": os.environ["DB_PASSWORD"]})

    def dies() -> None:
        print("last words:", os.environ["DB_PASSWORD"], flush=True)
        os.abort()

    def leaves() -> None:
        raise SystemExit(f"no entry with {os.environ['DB_PASSWORD']}")

    for function in (raises, dies, leaves):
        jid = cloud.call(function, _secrets=db)
        with pytest.raises(CloudException) as failed:
            cloud.result(jid)
        assert VALUE not in f"{failed.value}{failed.value.__cause__!r}{everything(jid)}"
        assert "***" in everything(jid), function.__name__
    jid = cloud.call(raises, _secrets=db)
    with pytest.raises(CloudException) as failed:
        cloud.result(jid)
    assert isinstance(failed.value.__cause__, ConnectionError)


def test_each_attempt_has_the_value_of_its_beginning(server: Server, db: str) -> None:
    cloud.secret.set("db", {"DB_PASSWORD": "the former one"})
    jid = cloud.call(lambda: os.environ["DB_PASSWORD"], _secrets=db)
    assert cloud.result(jid) == "the former one"
    cloud.secret.set("db", {"DB_PASSWORD": "the newer one"})

    told, go = cloud.queue.get("rotated"), cloud.queue.get("rotated-go")

    def twice() -> str:
        if os.environ["PICLOUD_ATTEMPT"] == "1":
            told.push([os.environ["DB_PASSWORD"]])
            go.pop()
            raise ValueError("again")
        return os.environ["DB_PASSWORD"]

    jid = cloud.call(twice, _secrets=db, _retries=1)
    assert until(told.pop) == ["the newer one"]
    cloud.secret.set("db", {"DB_PASSWORD": "the newest one"})
    go.push(["now"])
    assert cloud.result(jid) == "the newest one"
    told.delete()
    go.delete()


def test_programs_and_guests_see_the_jobs_environment(server: Server, db: str) -> None:
    jid = cloud.shell.execute("printenv DB_PASSWORD", {}, _secrets=db)
    assert cloud.result(jid) == f"{VALUE}\n".encode()
    with sleeping(_secrets=db) as jid:
        assert ssh(jid, "printenv DB_PASSWORD").stdout == f"{VALUE}\n".encode()


def test_a_missing_one_is_refused_and_a_removed_one_fails_the_attempt(server: Server, db: str) -> None:
    with pytest.raises(NotFound, match="no secret 'dbb'"):
        cloud.call(dict, _secrets="dbb")
    wait = cloud.call(time.sleep, 60)
    jid = cloud.call(dict, _secrets=db, _depends_on=wait, _depends_on_errors="ignore")
    cloud.secret.remove(db)
    cloud.kill(wait)
    with pytest.raises(CloudException, match="the secret db is not there any more"):
        cloud.result(jid)
    assert cloud.info(jid, "cause")[jid]["cause"] == "environment"


def test_handlers_have_them_and_dead_letters_are_masked(server: Server, db: str) -> None:
    queue, out = cloud.queue.get("with-secret"), cloud.queue.get("with-secret-out")

    def handle(message: str) -> bool:
        if message == "fail":
            raise ValueError("failed with " + os.environ["DB_PASSWORD"])
        return os.environ["DB_PASSWORD"] == message

    queue.attach(handle, out, _secrets=[db])
    queue.push([VALUE, "fail"])
    assert until(out.pop) == [True]
    (letter,) = until(queue.dead)
    assert letter.failure.message == "ValueError: failed with ***"
    assert VALUE not in f"{letter.failure!r}{letter.exception!r}"
    queue.delete()
    out.delete()


def test_crons_keep_the_name(server: Server, db: str) -> None:
    cloud.cron.register(lambda: os.environ["DB_PASSWORD"], "secretly", "@yearly", _secrets=db)
    assert cloud.result(cloud.cron.manual_run("secretly")) == VALUE
    cloud.secret.remove(db)
    with pytest.raises(NotFound, match="no secret 'db'"):
        cloud.cron.manual_run("secretly")
    cloud.cron.deregister("secretly")


def test_only_an_admin_sets_them_and_the_log_tells_names(server: Server, db: str) -> None:
    def refused() -> str:
        try:
            cloud.secret.set("mine", {"A": "b"})
        except Forbidden as error:
            return error.parameter
        return ""

    assert "admin" in cloud.result(cloud.call(refused))
    cloud.secret.remove(db)
    acts = call(At(server.url, server.key, server.secret), "GET", "/v1/audit")["acts"]
    (gone,) = [one for one in acts if one["act"] == "secret.remove"][:1]
    (made,) = [one for one in acts if one["act"] == "secret.set"][:1]
    assert gone["subject"] == made["subject"] == "db" and made["facts"] == {"variables": ["DB_PASSWORD"]}
    assert VALUE not in repr(acts)


def test_commands(server: Server) -> None:
    env = "# mine\nexport TOKEN='t0ken-of-mine'\nSHORT=x\n"
    done = picloud(server, "secret", "set", "api", "--from-file", "-", stdin=env)
    assert done.returncode == 0 and "Too short to be masked in what jobs print: SHORT" in done.stderr
    assert picloud(server, "secret", "set", "db", "PASSWORD", stdin="from-stdin\n").returncode == 0
    listed = picloud(server, "secret", "list").stdout
    assert [line.split()[:2] for line in listed.splitlines()[1:]] == [["api", "TOKEN"], ["db", "PASSWORD"]]
    assert "t0ken" not in listed and "from-stdin" not in listed
    jid = picloud(server, "exec", "--secret", "api", "--secret", "db", "printenv TOKEN PASSWORD; echo $SHORT").stdout.strip()
    assert picloud(server, "result", jid).stdout == "t0ken-of-mine\nfrom-stdin\nx\n"
    assert picloud(server, "exec", "--secret", "none", "true").returncode == 3
    for wrong in (["secret", "set", "db"], ["secret", "set", "db", "A", "B"], ["secret", "set", "db", "1=2"]):
        done = picloud(server, *wrong, stdin="x")
        assert done.returncode in (2, 3), done
    for name in ("api", "db"):
        assert picloud(server, "secret", "rm", name).returncode == 0
    assert server.picloud("secret", "list") == []
    assert picloud(server, "secret", "rm", "api").returncode == 3


def test_no_file_of_the_server_holds_a_value(server: Server, db: str) -> None:
    value = os.urandom(16).hex()
    cloud.secret.set(db, {"DB_PASSWORD": value})
    jid = cloud.call(lambda: print(os.environ["DB_PASSWORD"]) or len(os.environ["DB_PASSWORD"]), _secrets=db)
    assert cloud.result(jid) == len(value) and VALUE not in everything(jid)
    held = [path for path in regular_files(server.home) if value.encode() in path.read_bytes()]
    assert held == [], "also the worker's own are gone with the attempt"


def regular_files(home: Path) -> Iterator[Path]:
    for folder, _, names in os.walk(home):
        for path in (Path(folder) / name for name in names):
            with contextlib.suppress(FileNotFoundError):
                found = path.lstat()
                if stat.S_ISREG(found.st_mode) and found.st_size < 20 << 20:
                    yield path


@pytest.mark.parametrize(
    "body",
    [
        {"name": "", "values": {"A": "b"}}, {"name": "a/b", "values": {"A": "b"}}, {"name": "a", "values": {}},
        {"name": "a", "values": {"A-B": "hunter22"}}, {"name": "a", "values": {"PICLOUD_JID": "hunter22"}},
        {"name": "a", "values": {"A": "hunter22\0"}}, {"name": "a", "values": {"A": "hunter22" * 10_000}},
        {"name": "a", "values": {f"A{n}": "hunter22" for n in range(101)}}, {"name": "a", "values": {"A": 5, "B": "hunter22"}},
        {"name": "a' OR 1=1 --", "values": {"A": "b"}}, {"name": "a\r\nX: y", "values": {"A": "b"}}, [], "hunter22",
    ],
    ids=range(13),
)  # fmt: skip
def test_the_server_checks_for_itself(server: Server, body: Any) -> None:
    with pytest.raises(BadRequest) as refused:
        _session.session().link.json("POST", "/v1/secret", body)
    assert "hunter22" not in f"{refused.value!r}{refused.value.hint}{refused.value.facts}"
    assert cloud.secret.list() == []
