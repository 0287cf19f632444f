"""Accounts, workers, code, blobs, logs, lists and everything else that is not a move of a job."""

from __future__ import annotations

import hashlib
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, inspect, text

from picloud.store import account, blob, code, job, kind, listing, log, migrate, retention, worker
from picloud.store.act import info
from picloud.store.choice import Choice
from picloud.store.db import Database
from picloud.store.tables import metadata
from picloud.wire.error import BadRequest, Conflict, NotAuthorized, NotFound, SetupError, TooLarge
from picloud.wire.job import Cause
from picloud.wire.message import Code, LogChunk
from tests.contract.store.storekeeper import CODE, Keeper, done, failed, submission


@pytest.fixture
def ann(db: Database) -> Keeper:
    return Keeper(db)


def test_account_names_are_unique_and_some_reserved(ann: Keeper) -> None:
    for name in ("picloud", "", "Ann", "a b", "x" * 33, "1a", "a\n"):
        with pytest.raises(BadRequest):
            ann.write(account.create, name, 1)
    with pytest.raises(Conflict):
        ann.write(account.create, "ann", 1)
    assert [one.name for one in ann.read(account.every)] == ["ann"]
    with pytest.raises(NotFound):
        ann.read(account.by_name, "bob")


def test_a_key_lets_in_with_its_secret_until_revoked(ann: Keeper) -> None:
    key, secret = ann.write(account.key_create, ann.account, 1, "laptop")
    assert ann.read(account.key_check, key, secret, 1).name == "ann"
    for wrong in ((key, secret[:-1]), (key, ""), (key + 1, secret), (-1, secret), (1 << 80, secret), (key, "\ud800")):
        with pytest.raises(NotAuthorized):
            ann.read(account.key_check, *wrong, 1)
    assert [one.note for one in ann.read(account.keys, ann.account)] == ["laptop"]
    with pytest.raises(NotFound):
        ann.write(account.key_revoke, ann.account + 1, key, 2)
    ann.write(account.key_revoke, ann.account, key, 2)
    with pytest.raises(NotAuthorized):
        ann.read(account.key_check, key, secret, 3)


def test_secrets_are_nowhere_in_the_database(tmp_path: Path) -> None:
    db = Database.open(f"sqlite:///{tmp_path}/p.sqlite")
    ann = Keeper(db)
    _, secret = ann.write(account.key_create, ann.account, 1)
    ticket = ann.write(account.ticket_create, ann.account, 1, 9)
    db.close()
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert secret.encode() not in stored
    assert ticket.encode() not in stored


def test_a_ticket_is_good_for_one_token(ann: Keeper) -> None:
    ticket = ann.write(account.ticket_create, ann.account, 10, 5)
    with pytest.raises(NotAuthorized):
        ann.write(account.ticket_redeem, ticket, 15, 100)
    with pytest.raises(NotAuthorized):
        ann.read(account.token_check, ticket, 11)
    token = ann.write(account.ticket_redeem, ticket, 14, 100)
    with pytest.raises(NotAuthorized):
        ann.write(account.ticket_redeem, token, 14, 100)
    assert ann.read(account.token_check, token, 113).name == "ann"
    assert ann.write(account.expire, 114) == 1
    with pytest.raises(NotAuthorized):
        ann.read(account.token_check, token, 15)


def test_a_worker_is_found_again_with_all_that_its_kind_says(ann: Keeper) -> None:
    made = ann.write(kind.ensure, ann.account, "c1", 2, "v7", "3,5")
    ann.write(worker.create, "beef", made, "secret", 1)
    (found,) = ann.read(worker.live)
    said = (found.kind, found.account, found.core_type, found.cores, found.env, found.vol)
    assert said == (made, ann.account, "c1", 2, "v7", "3,5")
    assert ann.read(worker.by_incarnation, "beef", "secret") == found


def test_a_workers_credential_dies_with_it(ann: Keeper) -> None:
    ann.map(1)
    made = ann.write(worker.create, "beef", 1, "secret", 7)
    ann.write(worker.placed, made, 123, "456.7")
    found = ann.read(worker.by_incarnation, "beef", "secret")
    assert (found.id, found.account, found.core_type, found.pid, found.pid_start) == (made, ann.account, "c1", 123, "456.7")
    assert ann.read(worker.live) == [found]
    for wrong in (("beef", "wrong"), ("dead", "secret")):
        with pytest.raises(NotAuthorized):
            ann.read(worker.by_incarnation, *wrong)
    ann.revoke(made)
    assert ann.read(worker.live) == []
    with pytest.raises(NotAuthorized):
        ann.read(worker.by_incarnation, "beef", "secret")


def test_kinds_are_made_once(ann: Keeper) -> None:
    first = ann.write(kind.ensure, ann.account, "c1", 1)
    assert ann.write(kind.ensure, ann.account, "c1", 1) == first
    assert ann.write(kind.ensure, ann.account, "c2", 1) != first
    assert ann.read(kind.get, first).core_type == "c1"
    with pytest.raises(NotFound):
        ann.read(kind.get, 99)


def test_code_is_kept_by_digest_and_account(ann: Keeper, db: Database) -> None:
    assert ann.write(code.missing, ann.account, [CODE.digest, CODE.digest], [], [], 1) == [CODE.digest]
    assert ann.write(code.missing, ann.account, [CODE.digest], [], [CODE], 1) == []
    assert ann.read(code.get, ann.account, CODE.digest) == CODE
    bob = Keeper(db, "bob")
    with pytest.raises(NotFound):
        bob.read(code.get, bob.account, CODE.digest)
    with pytest.raises(BadRequest):
        ann.write(code.put, ann.account, [Code("0" * 64, "function", b"x")], 1)
    nul = Code(hashlib.sha256(b"n").hexdigest(), "function", b"n", {"source": "'\0'"})
    ann.write(code.put, ann.account, [nul], 1)
    assert "source" in ann.read(code.get, ann.account, nul.digest).info


def test_a_blob_lives_while_it_is_named_or_touched(ann: Keeper, db: Database) -> None:
    named, idle, late = ann.write(blob.new, ann.account, [5, 6, 7], 10)
    m = submission(1)
    m.arguments.blobs = {0: named}
    with pytest.raises(NotFound):
        ann.submit(m)
    for name in (named, idle):
        ann.write(blob.arrived, name, 5, 11)
    bob = Keeper(db, "bob")
    with pytest.raises(NotFound):
        bob.submit(m)
    made = ann.submit(m)
    assert ann.take(ann.worker())[0].blob == named
    assert ann.read(job.payload, ann.account, made.first, "args")[1] == named
    assert ann.write(blob.sweep, 1_000_000, 2_000_000) == (2, [])
    assert ann.read(blob.owned, ann.account, [idle]) == 2_000_000
    assert ann.write(blob.touch, ann.account, [idle, late], 2_000_001) == {idle}  # live again, and no bytes of late came
    for _ in range(2):  # who sweeps may die before the bytes are gone
        assert ann.write(blob.sweep, 2_000_001, 2_000_002) == (0, [late])
    with pytest.raises(NotFound):
        ann.write(blob.arrived, late, 7, 2_000_003)
    ann.write(blob.forget, [late, named])
    assert ann.write(blob.sweep, 3_000_000, 4_000_000) == (1, [])
    assert ann.write(blob.sweep, 5_000_000, 6_000_000) == (0, [idle])
    with pytest.raises(NotFound):
        ann.write(blob.refer, ann.account, [named, idle], 6_000_001)
    ann.read(blob.owned, ann.account, [named])


def test_a_stream_keeps_its_beginning_and_its_end(ann: Keeper) -> None:
    ann.map(2)
    by = ann.worker()
    one, two = ann.take(by)

    def chunk(at, data, jid=1, n=1):
        return LogChunk(jid, n, "stdout", at, data)

    assert ann.write(log.append, by, [chunk(0, b"head"), chunk(4, b"\0mid"), chunk(8, b"tail"), chunk(0, b"x", 9)], 4, 4) == 3
    assert ann.write(log.append, by, [chunk(8, b"tail")], 4, 4) == 1
    assert ann.write(log.append, ann.worker(), [chunk(12, b"not mine")], 4, 4) == 0
    assert ann.read(log.read, ann.account, 1, "stdout") == b"head\n[4 bytes left out]\ntail"
    assert ann.read(log.read, ann.account, 1, "stdout", 3) == b"ail"
    assert ann.read(log.read, ann.account, 2, "stdout") == ann.read(log.read, ann.account + 1, 1, "stdout") == b""
    ann.finish(by, failed(one, Cause.worker_lost), done(two))
    (again,) = ann.take(by)
    ann.write(log.append, by, [chunk(0, b"second", 1, again.n), chunk(12, b"late")], 99, 99)
    assert ann.read(log.read, ann.account, 1, "stdout") == b"second"
    assert ann.read(log.read, ann.account, 1, "stdout", 99, 1).endswith(b"taillate")


def page(ann: Keeper, limit: int = 50, before: int | None = None, **asked: Any) -> list[int]:
    rows, _ = ann.read(lambda tx: listing.newest(tx, ann.account, Choice(**asked), limit=limit, before=before))
    return [row["jid"] for row in rows]


def test_lists_are_newest_first_and_filtered(ann: Keeper, db: Database) -> None:
    Keeper(db, "bob").map(1)
    m = submission(3, label="mine")
    m.name = "g"
    ann.submit(m)
    waiting = ann.map(1, depends_on=[(4, 1)])
    by = ann.worker(2)
    one, two, _ = ann.take(by, kind=2)
    ann.start(by, one, two)
    ann.finish(by, done(one))
    assert page(ann) == [waiting.first, 4, 3, 2] == [5, 4, 3, 2]
    assert {state: page(ann, state=state) for state in ("waiting", "queued", "processing", "done", "error")} == {
        "waiting": [5], "queued": [4], "processing": [3], "done": [2], "error": []}  # fmt: skip
    assert page(ann, label="mine") == page(ann, func="g") == page(ann, label="mine", func="g") == [4, 3, 2]
    assert page(ann, label="other") == page(ann, func="f", label="mine") == []
    assert page(ann, before=4, limit=1) == [3]
    assert page(ann, since=1 << 50) == []
    rows, following = ann.read(lambda tx: listing.newest(tx, ann.account, limit=2, before=4))
    assert (following, rows[1]["status"], rows[1]["runtime"], rows[1]["core_type"]) == (None, "done", 5e-6, "c1")
    assert ann.read(lambda tx: listing.newest(tx, ann.account, limit=2))[1] == 4
    for bad in ({"state": "lost"}, {"limit": 0}, {"before": 1 << 70}):
        with pytest.raises(BadRequest):
            page(ann, **bad)


def test_info_lists_all_attempts_and_no_secret(ann: Keeper) -> None:
    m = submission(2, 1, retries=1)
    m.env_values, m.options.env_names = {"TOKEN": "s3cret"}, ["TOKEN"]
    ann.submit(m)
    by = ann.worker()
    (one,) = ann.take(by)
    ann.finish(by, failed(one, retry=True))
    (again,) = ann.take(by)
    ann.write(log.append, by, [LogChunk(1, 2, "stderr", 0, b"\xffoops")], 99, 99)
    ann.finish(by, failed(again, Cause.signal))
    found = ann.read(info.read, ann.account, [(1, 2)], 100, ["stderr"])
    about = found[1]
    assert (about["status"], about["cause"], about["exception"], about["args"]) == ("error", "signal", "it broke", "0")
    assert [(x["n"], x["cause"], x["message"]) for x in about["attempts"]] == [
        (1, "exception", "it broke"),
        (2, "signal", "it broke"),
    ]
    assert about["attributes"]["env_names"] == ["TOKEN"]
    assert about["stderr"] == "\ufffdoops"
    assert "s3cret" not in repr(found)
    assert found[2]["status"] == "waiting"
    with pytest.raises(NotFound):
        ann.read(info.read, ann.account + 1, [(1, 1)])


def test_counts_and_payloads(ann: Keeper) -> None:
    ann.map(2)
    assert ann.read(job.counts) == ann.read(job.counts, ann.account) == {"waiting": 0, "queued": 2, "processing": 0}
    (row,) = ann.read(job.ready)
    assert (row.account, row.core_type, row.cores, row.count, row.priority) == (ann.account, "c1", 1, 2, 5)
    assert ann.read(job.payload, ann.account, 1, "args") == (b"a0", "")
    assert ann.read(job.payload, ann.account, 1, "function") == (b"code", "")
    for asked in ((1, "result"), (1, "secrets"), (9, "args")):
        with pytest.raises(NotFound):
            ann.read(job.payload, ann.account, *asked)


def test_status_of_ranges_in_any_order(ann: Keeper) -> None:
    ann.map(3, 2)
    assert ann.read(job.statuses, ann.account, [(3, 1), (1, 2), (1, 1)]) == bytes([0, 1, 1, 1])
    for unknown in ((4, 1), (0, 1), (3, 2), (-5, 1), (1, 1 << 62)):
        with pytest.raises(NotFound):
            ann.read(job.statuses, ann.account, [unknown])


def test_too_many_states_at_once_are_refused_and_unknown_jids_found_soon(ann: Keeper) -> None:
    made = ann.map(1 << 39, 1)
    with pytest.raises(TooLarge):
        ann.read(job.statuses, ann.account, [(made.first, 1 << 39)])
    with pytest.raises(NotFound):
        ann.read(job.check_final, ann.account, [(1 << 45, 1 << 39)])
    with pytest.raises(Conflict, match=f"job {made.first} is not finished"):
        ann.read(job.check_final, ann.account, [(made.first, 1 << 39)])


# -- migrations -------------------------------------------------------------------------------------------------------


def test_migrations_end_in_the_tables_of_the_schema(fresh_url: str) -> None:
    engine = create_engine(fresh_url)
    migrate._upgrade(engine)
    with engine.begin() as tx:
        assert migrate.revision(tx) == migrate.HEAD
        assert compare_metadata(MigrationContext.configure(tx), metadata) == []
        assert tx.execute(text("SELECT value FROM counter WHERE name = 'jid'")).scalar_one() == 0
        tables = {name: {index["name"] for index in inspect(tx).get_indexes(name)} for name in metadata.tables}
    assert all({index.name for index in table.indexes} <= tables[name] for name, table in metadata.tables.items())
    engine.dispose()
    Keeper(Database.open(fresh_url)).db.close()


def test_a_newer_or_foreign_database_is_refused(fresh_url: str) -> None:
    Database.open(fresh_url).close()
    engine = create_engine(fresh_url)
    with engine.begin() as tx:
        tx.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SetupError, match="newer version"):
        Database.open(fresh_url)
    with engine.begin() as tx:
        tx.execute(text("DROP TABLE alembic_version"))
    with pytest.raises(SetupError, match="another program"):
        Database.open(fresh_url)
    engine.dispose()


def test_the_copy_before_a_migration_holds_what_the_log_holds(tmp_path: Path) -> None:
    path = tmp_path / "picloud.sqlite"
    db = Database.open(f"sqlite:///{path}")
    Keeper(db).map(3)
    made = migrate.copy(path, "0000")
    db.close()
    with sqlite3.connect(made) as copied:
        assert copied.execute("SELECT count(*) FROM job").fetchone() == (3,)
    copied.close()


def test_a_database_that_cannot_be_opened_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"not a database " * 100)
    for url in (f"sqlite:///{tmp_path}/no/such/folder/p.sqlite", f"sqlite:///{tmp_path}/file", "postgresql://x@127.0.0.1:1/y"):
        with pytest.raises(SetupError, match="cannot open the database"):
            Database.open(url)


def piece(data: bytes) -> Code:
    return Code(hashlib.sha256(data).hexdigest(), "module", data)


def swept(ann: Keeper, before: int) -> int:
    """What a sweep removes, done as the janitor does it."""
    newest, loose = ann.read(code.every)
    return int(ann.write(code.remove, loose - ann.read(code.named, 0, newest), newest, before))


def test_code_that_no_submission_needs_goes_after_its_time(ann: Keeper, db: Database) -> None:
    bob = Keeper(db, "bob")
    needed, loose, fresh = piece(b"needed"), piece(b"loose"), piece(b"fresh")
    m = submission(1)
    m.modules, m.code = [needed.digest], [CODE, needed]
    ann.submit(m)
    ann.write(code.put, ann.account, [loose], 10)
    ann.write(code.put, bob.account, [CODE], 10)
    ann.write(code.put, ann.account, [fresh], 5_000)
    assert swept(ann, 2_000) == 2
    for kept in (CODE, needed, fresh):
        assert ann.read(code.get, ann.account, kept.digest) == kept
    for account_id, gone in ((ann.account, loose), (bob.account, CODE)):
        with pytest.raises(NotFound):
            ann.read(code.get, account_id, gone.digest)
    assert swept(ann, 2_000) == 0


def test_a_client_that_takes_swept_code_for_sent_is_asked_for_it(ann: Keeper) -> None:
    ann.write(code.put, ann.account, [CODE], 10)
    m = submission(1)
    m.code = []
    assert swept(ann, 2_000) == 1
    assert ann.submit(m).missing == [CODE.digest]
    m.code = [CODE]
    assert ann.submit(m).missing == []
    assert ann.take(ann.worker())


def test_code_that_comes_to_be_needed_during_the_sweep_stays(ann: Keeper) -> None:
    ann.write(code.put, ann.account, [CODE], 10)
    newest, loose = ann.read(code.every)
    loose -= ann.read(code.named, 0, newest)
    m = submission(1)
    m.code = []
    assert ann.submit(m).missing == []
    assert ann.write(code.remove, loose, newest, 2_000) == 0
    assert ann.read(code.get, ann.account, CODE.digest) == CODE


def test_submissions_go_when_their_jobs_are_gone(ann: Keeper) -> None:
    emptied, blocks, kept, last = ann.map(2), ann.map(None, 1), ann.map(2), ann.map(1)
    ann.chunk(blocks, 1, 2, final=True)
    ann.kill(None)
    for made, count in ((emptied, 2), (kept, 1), (last, 1)):
        ann.write(job.delete, ann.account, [(made.first, count)])

    def left() -> list[int]:
        return ann.read(lambda tx: list(tx.execute(text("SELECT id FROM submission ORDER BY id")).scalars()))

    def sweep(before: int, limit: int = 2) -> None:
        after: int | None = 0
        while after is not None:
            after = ann.write(retention.submissions, before, after, limit)

    every = [one.submission for one in (emptied, blocks, kept, last)]
    sweep(1)
    assert left() == every
    sweep(ann.now + 1)
    assert left() == every[1:]
    ann.write(retention.jobs, ann.now + 1, 10)
    sweep(ann.now + 1, 100)
    assert left() == [last.submission]
    assert ann.read(lambda tx: tx.execute(text("SELECT count(*) FROM chunk")).scalar_one()) == 0


def test_old_payloads_go_before_old_jobs_and_the_ledger_stays(ann: Keeper) -> None:
    ann.map(3)
    by = ann.worker()
    one, two, _ = ann.take(by)
    ann.finish(by, done(one))
    then = ann.tick()
    ann.finish(by, done(two))
    assert [ann.write(retention.payloads, then, 10) for _ in range(2)] == [1, 0]
    (end, _) = ann.read(job.finished, ann.account, [(1, 3)], 0, 9)
    assert (end.status, end.data) == (3, None)
    assert ann.write(retention.jobs, ann.now + 1, 1) == 1
    assert ann.write(retention.jobs, ann.now + 1, 10) == 1
    assert page(ann) == [3]
    assert ann.read(lambda tx: tx.execute(text("SELECT count(*) FROM attempt")).scalar_one()) == 2
