"""Which names there are: listings that were asked for, kept true by the stream of changes.

A name is known, known not to be there, or unsure. What is unsure is asked again when somebody wants it. Events of several
servers may come in another order than the changes happened, so only what cannot be older is believed: a higher version of
the object that is known, or an id above all that were ever seen. Without the stream nothing is kept.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from picloud.mount.remote import Remote
from picloud.wire.object import Event, Object

FIRST = 1000
"""Names of a folder that are asked for when one of them is wanted; larger folders are known name by name."""
MOST, MOST_OF_ONE = 400_000, 150_000
"""Names that are kept, and of one folder."""
FEW = 4
Found = Object | None


class Known:
    """What is known of one folder."""

    def __init__(self, complete: bool) -> None:
        self.names: dict[str, Found] = {}
        self.unsure: set[str] = set()
        self.complete = complete


class Asking:
    """A question about a folder that is under way; ``stale`` once something changed meanwhile."""

    def __init__(self, folder: str) -> None:
        self.folder, self.stale = folder, False


def split(key: str) -> tuple[str, str]:
    """Folder and name of a key; a ``/`` at its end does not count."""
    folder, _, name = key.removesuffix("/").rpartition("/")
    return folder, name


def joined(folder: str, name: str) -> str:
    """The key of a name in a folder."""
    return f"{folder}/{name}" if folder else name


class Names:
    """The names of one bucket or volume."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote
        self._lock = threading.Lock()
        self._folders: dict[str, Known] = {}
        self._asking: set[Asking] = set()
        self._live = False
        self._newest = 0
        self._count = 0

    # -- questions --------------------------------------------------------------------------------------------------

    def look(self, folder: str, name: str) -> Found:
        """What a name in a folder is: an object, a folder (its key ends in ``/``), or nothing."""
        with self._lock:
            known = self._folders.get(folder)
            if known is not None and name not in known.unsure and (known.complete or name in known.names):
                return known.names.get(name)
            live = self._live
        if live and known is None:
            known = self._load(folder, FIRST)
            if known.complete or name in known.names:
                return known.names.get(name)
        with self._asked(folder) as asking:
            found = self._remote.find(joined(folder, name))
            self._learn(asking, name, found)
        return found

    def all(self, folder: str) -> list[Object]:
        """All that lies directly in a folder."""
        with self._lock:
            known = self._folders.get(folder)
            unsure = list(known.unsure) if known is not None else []
        if known is not None and known.complete and len(unsure) <= FEW:
            for name in unsure:
                self.look(folder, name)
            with self._lock:
                if self._folders.get(folder) is known and not known.unsure:
                    return [one for one in known.names.values() if one is not None]
        return [one for one in self._load(folder, 0).names.values() if one is not None]

    def _load(self, folder: str, limit: int) -> Known:
        """Ask for a folder; its first names (``limit``), or all (0)."""
        with self._asked(folder) as asking:
            known = Known(complete=True)
            for page in self._remote.pages(folder, limit) if limit else self._remote.pages(folder):
                known.names |= {split(one.key)[1]: one for one in page.objects}
                known.complete = not page.truncated
                if limit:
                    break
            with self._lock:
                if self._live and not asking.stale and len(known.names) <= MOST_OF_ONE:
                    self._keep(folder, known)
        return known

    def _keep(self, folder: str, known: Known) -> None:
        self._count += len(known.names)
        if self._count > MOST:
            self._folders.clear()
            self._count = len(known.names)
        self._folders[folder] = known

    def _learn(self, asking: Asking, name: str, found: Found) -> None:
        with self._lock:
            known = self._folders.get(asking.folder)
            if known is None or asking.stale:
                return
            known.unsure.discard(name)
            if found is None and known.complete:
                known.names.pop(name, None)
            else:
                known.names[name] = found
                self._count += 1

    @contextmanager
    def _asked(self, folder: str) -> Iterator[Asking]:
        asking = Asking(folder)
        with self._lock:
            self._asking.add(asking)
        try:
            yield asking
        finally:
            with self._lock:
                self._asking.discard(asking)

    # -- changes ----------------------------------------------------------------------------------------------------

    def reset(self, live: bool) -> None:
        """Forget everything; ``live``: from now on all changes are told."""
        with self._lock:
            self._live, self._count = live, 0
            self._folders.clear()
            for asking in self._asking:
                asking.stale = True

    def apply(self, events: list[Event]) -> None:
        """Take in changes."""
        with self._lock:
            for event in events:
                self._apply(event)

    def _apply(self, event: Event) -> None:
        folder, name = split(event.key)
        below = event.key if event.key.endswith("/") else ""
        for asking in self._asking:
            around = f"{asking.folder}/" if asking.folder else ""
            if event.key.startswith(around) or (below and around.startswith(below)):
                asking.stale = True
        known = self._folders.get(folder)
        if below:
            self._forget_below(below)
            if known is not None:
                known.unsure.add(name)
        elif known is not None:
            self._change(known, name, event)
        self._newest = max(self._newest, event.id)
        self._climb(folder, event.object is not None or event.kept)

    def _change(self, known: Known, name: str, event: Event) -> None:
        there, now = known.names.get(name), event.object
        same = there is not None and there.id == event.id and event.id > 0
        if now is not None and there is not None and same:
            if now.version >= there.version:
                known.names[name] = now
        elif now is not None and event.id > self._newest:
            known.names[name] = now
            known.unsure.discard(name)
            self._count += 1
        elif now is None and same:
            if known.complete:
                del known.names[name]
            else:
                known.names[name] = None
        elif now is not None or there is not None or not event.id or not (known.complete or name in known.names):
            known.unsure.add(name)  # and what goes though it was known not to be there, changes nothing

    def _forget_below(self, below: str) -> None:
        for path in [path for path in self._folders if f"{path}/".startswith(below)]:
            del self._folders[path]

    def _climb(self, folder: str, there: bool) -> None:
        """The folders around a change may have come into being by it, or (not ``there``) have gone."""
        while folder:
            above, name = split(folder)
            known = self._folders.get(above)
            if known is not None and (not there or known.names.get(name) is None):
                known.unsure.add(name)
            folder = above
