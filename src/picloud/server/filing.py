"""What changes a bucket or a volume without moving bytes: acts in one transaction each, of which watchers are told.

The routes that speak MessagePack and those that speak JSON are made of these.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from picloud.server import audit, changes
from picloud.server.control import Control
from picloud.server.http import Request
from picloud.server.storage import now_ms
from picloud.store.db import Transaction
from picloud.store.index import folder as folders
from picloud.store.index import move, tree
from picloud.store.index import object as store
from picloud.wire.object import Event, Object

FEW = 64
"""Objects of a question that the server's loop answers itself: less than 5 ms."""


async def rename(control: Control, account: int, volume: str, key: str, to: str, *, replace: bool, keep: bool) -> None:
    """Give an object or a folder another key.

    Args:
        replace: what is at ``to`` may go.
        keep: the folder that it leaves stays though it is empty then.

    Raises:
        NotFound: there is nothing of that name.
        Conflict: something is at ``to`` that does not go.
    """

    def act(tx: Transaction) -> list[Object]:
        return move.rename(tx, account, tree.find(tx, account, volume), key, to, replace, now_ms() if keep else 0)

    if moved := await control.storage.write(act):
        events = [Event(key, None, moved[0].id, keep), *changes.stored(moved)]
    else:
        events = [Event(f"{key}/", kept=keep), Event(f"{to}/", kept=True)]
    await control.changes.tell(account, volume, events)


async def copy(control: Control, account: int, volume: str, key: str, to_volume: str, to: str) -> int:
    """Have an object, or all of a folder, a second time; how many objects.

    Raises:
        NotFound: there is nothing of that name.
        Conflict: a new key is a folder, or below an object.
        StorageFull: the disk is, or the account's quota.
    """
    quota = control.settings.storage_quota
    control.storage.check_space()

    def act(tx: Transaction) -> int:
        source, target = tree.find(tx, account, volume), tree.ensure(tx, account, to_volume, now_ms())
        return move.copy(tx, account, source, key, target, to, now_ms(), quota)

    copied = await control.storage.write(act)
    await control.changes.tell(account, to_volume, [Event(to), Event(f"{to}/")])
    return copied


async def make_folder(control: Control, account: int, volume: str, key: str, *, fresh: bool) -> None:
    """Have a folder, perhaps an empty one.

    Args:
        fresh: there must be none yet.

    Raises:
        Conflict: there is an object in its way, or the folder itself.
    """
    control.storage.check_space()

    def act(tx: Transaction) -> None:
        folders.make(tx, tree.ensure(tx, account, volume, now_ms()), key, now_ms(), fresh)

    await control.storage.write(act)
    await control.changes.tell(account, volume, [Event(f"{key}/", kept=True)])


async def remove_folder(control: Control, account: int, volume: str, key: str) -> None:
    """Remove an empty folder.

    Raises:
        NotFound: there is none.
        Conflict: it is not empty.
    """
    await control.storage.write(lambda tx: folders.remove(tx, account, tree.find(tx, account, volume), key, now_ms()))
    await control.changes.tell(account, volume, [Event(f"{key}/", kept=True)])


async def remove(control: Control, account: int, volume: str, keys: Sequence[str], *, keep: bool, early: bool = False) -> int:
    """Remove objects; how many were there.

    Args:
        keep: a folder whose last object goes stays.
        early: answer when everybody sees it, before it is on disk.
    """

    def act(tx: Transaction) -> list[Object]:
        return store.remove(tx, account, tree.find(tx, account, volume), keys, now_ms() if keep else 0)

    few = len(keys) <= FEW
    removed = await (control.storage.write_few(act, durable=not early) if few else control.storage.write(act))
    await control.changes.tell(account, volume, changes.gone(removed, keep))
    return len(removed)


async def remove_below(control: Control, account: int, volume: str, folder: str) -> int:
    """Remove all that lies below a folder ("" = everything); how many objects."""
    count = await control.storage.write(lambda tx: store.remove_below(tx, account, tree.find(tx, account, volume), folder))
    await control.changes.tell(account, volume, [Event(f"{folder}/")])
    return count


async def publish(
    control: Control, request: Request, key: str, headers: Mapping[str, str], *, public: bool, reset: bool
) -> Object:
    """Let everybody get an object of the bucket, or nobody any more.

    Raises:
        NotFound: there is no such object.
    """
    account = request.principal.account
    found = await control.storage.write(lambda tx: store.publish(tx, tree.find(tx, account, ""), key, public, headers, reset))
    await audit.note(control, request, "object.publish", key, public=public)
    return found
