"""Code that jobs need: pickled functions and packed modules, once an account, by sha256.

missing(tx, account, digests, have, brought: list[Code], now) -> list[str]    stores what was brought; what still lacks
HAVE                                                                    a query: those of ``digests`` that ``account`` has
put(tx, account, brought: list[Code], now)                              BadRequest where a digest is wrong
get(tx, account, digest) -> Code                                        NotFound
every(tx) -> (newest, pieces)                                           all that nothing kept needs, and the newest submission
newest(tx, until) -> int
size(tx, pieces, before) -> (count, bytes)
named(tx, after, until) -> pieces                                       those that these submissions need
remove(tx, pieces, newest, before) -> int                               those among them that nothing needs

A *piece* is (account, digest). Whether a submission needs one, no index tells: the sweeper walks all submissions in short
reads, newest first, and what no one of them named is removed in an act that looks at those which came meanwhile. A client
that remembers a removed piece as sent is told that it is missing, and sends it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import msgspec
from sqlalchemy import BigInteger, Connection, Text, bindparam, delete, func, select

from picloud.store.call.schema import call
from picloud.store.queue.schema import attachment
from picloud.store.rows import Listed, add, as_list, constant, from_json, gathered, listing, one, run, text, to_json
from picloud.store.schema import code, submission
from picloud.wire.error import BadRequest, NotFound
from picloud.wire.message import Code, Submit
from picloud.wire.queue import Attach


def missing(tx: Connection, account: int, digests: list[str], have: Iterable[str], brought: list[Code], now: int) -> list[str]:
    """Store the pieces among ``brought`` that are new; the digests that the account still lacks.

    Args:
        have: what :data:`HAVE` found of ``digests``.

    Raises:
        BadRequest: a piece does not have the digest it claims.
    """
    have = set(have)
    fresh = [piece for piece in brought if piece.digest not in have]
    put(tx, account, fresh, now)
    have.update(piece.digest for piece in fresh)
    return [digest for digest in dict.fromkeys(digests) if digest not in have]


def put(tx: Connection, account: int, brought: list[Code], now: int) -> None:
    """Store pieces of code; ones that are there stay.

    Raises:
        BadRequest: a piece does not have the digest it claims.
    """
    for piece in brought:
        if hashlib.sha256(piece.data).hexdigest() != piece.digest:
            raise BadRequest(f"code {piece.digest[:12]} arrived damaged: its sha256 is another", hint="send it again")
        tx.execute(add(code), {"account": account, "digest": piece.digest, "kind": text(piece.kind), "created": now,
                               "info": text(to_json(piece.info).decode()), "data": piece.data})  # fmt: skip


def get(tx: Connection, account: int, digest: str) -> Code:
    """One piece of code with its bytes.

    Raises:
        NotFound: the account has none of that digest.
    """
    row = tx.execute(_GET, {"account": account, "digest": digest}).one_or_none()
    if row is None:
        raise NotFound(f"there is no code {digest[:12]}")
    return Code(row.digest, row.kind, row.data, from_json(row.info))


def every(tx: Connection) -> tuple[int, set[Piece]]:
    """The number of the newest submission, and all pieces of code there were before it was looked up that nothing kept needs."""
    pieces = {(account, digest) for account, digest in run(tx, _EVERY)}
    return one(tx, _NEWEST)[0] or 0, pieces - _kept(tx)


def _kept(tx: Connection) -> set[Piece]:
    """The pieces that attachments in force and stored calls need."""
    found = [(account, _attach(bytes(data)).submit) for account, data in run(tx, _HANDLERS)]
    found += [(account, _submit(bytes(data))) for account, data in run(tx, _CALLS)]
    return {(account, digest) for account, submit in found for digest in (submit.function, *submit.modules)}


def named(tx: Connection, after: int, until: int) -> set[Piece]:
    """The pieces that the submissions with numbers above ``after`` up to ``until`` need."""
    found = set()
    for account, function, modules in run(tx, _NAMED, after=after, until=until):
        found.add((account, function))
        found.update((account, digest) for digest in from_json(modules))
    return found


def newest(tx: Connection, until: int) -> int:
    """The number of the newest submission up to ``until``; 0 = there is none. They have gaps, which may be very wide."""
    return int(one(tx, _UP_TO, until=until)[0] or 0)


def size(tx: Connection, pieces: set[Piece], before: int) -> tuple[int, int]:
    """How many of these pieces were stored before ``before`` (epoch ms), and their bytes."""
    count, size = one(tx, _SIZE, pieces=as_list(sorted(pieces)), before=before)
    return int(count), int(size or 0)


def remove(tx: Connection, pieces: set[Piece], newest: int, before: int) -> int:
    """Remove those pieces that were stored before ``before`` (epoch ms) and that no submission needs.

    Args:
        pieces: ones that no submission up to ``newest`` needs.
        newest: the number of a submission; later ones are looked at here.
    """
    # Locked first: who is about to refer to one either has done so when we look, or finds it gone.
    old = {(account, digest) for account, digest in listing(tx, _OLD, pieces=as_list(sorted(pieces)), before=before)}
    loose = old - named(tx, newest, LAST) - _kept(tx)
    for owner in {account for account, _ in loose}:
        run(tx, _REMOVE, account_=owner, digests=as_list([digest for account, digest in loose if account == owner]))
    return len(loose)


Piece = tuple[int, str]
"""(account, digest)."""
LAST = 1 << 62
"""No submission has a higher number."""
_digests, _pieces = Listed("digests"), Listed("pieces")
_have = (
    select(code.c.digest)
    .where(code.c.account == bindparam("account"), code.c.digest.in_(_digests.chosen(Text)))
    .with_for_update(read=True)
    .subquery()
)
HAVE = select(gathered(_have.c.digest))
_EVERY = select(code.c.account, code.c.digest)
_attach = msgspec.msgpack.Decoder(Attach).decode
_submit = msgspec.msgpack.Decoder(Submit).decode
_CALLS = select(call.c.account, call.c.submit)
_HANDLERS = select(attachment.c.account, attachment.c.attach).where(attachment.c.live != constant(0))
_NEWEST = select(func.max(submission.c.id))
_UP_TO = select(func.max(submission.c.id)).where(submission.c.id <= bindparam("until", type_=BigInteger))
_NAMED = (
    select(submission.c.account, submission.c.function, submission.c.modules)
    .where(submission.c.id > bindparam("after", type_=BigInteger), submission.c.id <= bindparam("until", type_=BigInteger))
    .distinct()
)
_asked = (code.c.account == _pieces.c(0)) & (code.c.digest == _pieces.c(1, Text))
_old = (
    select(code.c.account, code.c.digest)
    .join_from(_pieces.table, code, _asked)
    .where(code.c.created < bindparam("before", type_=BigInteger))
    .order_by(code.c.account, code.c.digest)
    .with_for_update(of=code)
    .subquery()
)
_SIZE = (
    select(func.count(), func.sum(func.length(code.c.data)))
    .select_from(_pieces.table.join(code, _asked))
    .where(code.c.created < bindparam("before", type_=BigInteger))
)
_OLD = select(gathered(_old.c.account, _old.c.digest))
_REMOVE = delete(code).where(code.c.account == bindparam("account_"), code.c.digest.in_(_digests.chosen(Text)))
_GET = select(code).where(code.c.account == bindparam("account"), code.c.digest == bindparam("digest"))
