"""What handlers of queues, crons and REST endpoints have in common: a submission that is kept, and made again and again.

keep(tx, account, submit, host, env, now) -> missing     its code is there, its environment, volumes and secrets exist
again(tx, account, kept, host, env, arguments, token, now)   submit it, as its author would
"""

from __future__ import annotations

from msgspec import structs
from sqlalchemy import Connection

from picloud.store import account as accounts
from picloud.store import code, image
from picloud.store.act import accept
from picloud.store.index import volume
from picloud.store.rows import as_list, from_json, one
from picloud.store.secret import secret
from picloud.store.webhook import webhook
from picloud.wire.message import Arguments, Submit, Submitted


def keep(tx: Connection, account: int, submit: Submit, host: str, env: str | None, now: int) -> list[str]:
    """Check a submission that is about to be kept, and store the code that it brings.

    Args:
        submit: its options are checked and complete.
        host: the image of base/host with this client's interpreter, as in ``kind.env``.
        env: the image, whatever the options say.

    Returns:
        Digests of code that is missing: then nothing may be kept.

    Raises:
        NotFound, Conflict, Skew: no such environment, volume or secret, or it does not fit; or nothing signs for its webhook.
    """
    needed = [submit.function, *submit.modules]
    have = from_json(one(tx, code.HAVE, account=account, digests=as_list(needed))[0])
    if missing := code.missing(tx, account, needed, have, submit.code, now):
        return missing
    if env is None and submit.options.env:
        image.resolve(tx, account, submit.options.env, host=host, python=submit.python, program=submit.options.interactive)
    volume.numbers(tx, account, submit.options.vol)
    secret.check(tx, account, submit.options.secrets)
    if submit.options.webhook:
        webhook.find(tx, account, "")
    return []


def bare(submit: Submit) -> Submit:
    """What is kept of a submission: all but the code itself."""
    return structs.replace(submit, code=[])


def again(
    tx: Connection, account: int, kept: Submit, host: str, env: str | None, arguments: Arguments, token: bytes, now: int
) -> tuple[Submitted, set[int]]:
    """Submit what was kept, one job for each of the arguments.

    Args:
        token: 16 bytes; the same once more makes no second submission.

    Returns:
        The jids, and the kinds that got ready jobs.

    Raises:
        NotFound, Conflict, Skew: its environment, a volume or a secret is gone, or fits no more; or its account is switched off.
    """
    accounts.check_active(tx, account)
    submit = structs.replace(kept, token=token, count=len(arguments.ends), arguments=arguments)
    return accept.submit(tx, account, submit, now=now, host=host, env=env)
