"""What the runners need to run a submission's jobs: its spec, its function, its modules, as files in the worker's folder."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import zipfile
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path
from typing import Any

from picloud.wire.error import BadRequest, CloudException
from picloud.wire.job import Cause, Failure
from picloud.wire.mask import Mask
from picloud.wire.message import Lease, Outcome, Spec, encode
from picloud.worker.control import Control
from picloud.worker.loop import Loop
from picloud.worker.shelf import Shelf, size

KNOWN = 20_000
"""Specs that a worker remembers; more than :data:`picloud.server.fleet.KNOWN`."""
RETRY = 0.5  # seconds until code is asked for again that control could not give
MODULES_SIZE = 1 << 30  # unpacked bytes of shipped modules at most

Then = Callable[[CloudException | None], None]


class Kit:
    """Fetches code once by digest; ``specs`` are the submissions known."""

    def __init__(self, loop: Loop, control: Control, folder: Path) -> None:
        self._loop, self._control = loop, control
        self.code, self.spec_folder, self.arguments = folder / "code", folder / "specs", folder / "arguments"
        for path in (self.code, self.spec_folder, self.arguments):
            path.mkdir(parents=True, exist_ok=True, mode=0o755)
        self.specs: OrderedDict[int, Spec] = OrderedDict()  # the least recently used first
        self.keys: dict[int, int] = {}  # submission -> name of its spec's file; equal specs share one
        self.ready: set[int] = set()
        self._waiting: dict[int, list[Then]] = {}
        self._written: Counter[int] = Counter()
        self._shelf = Shelf(self.code)
        self.masks: dict[int, Mask] = {}  # of submissions with secrets: for all values that attempts in hand may have
        self._sealed: dict[int, tuple[set[int], set[str]]] = {}  # of the same: all keys of their spec so far, and all values

    def learn_all(self, specs: list[Spec]) -> dict[int, str]:
        """Learn those whose jobs can begin; of the others, by submission, why not."""
        for spec in specs:
            if not spec.refused:
                self.learn(spec)
        return {spec.submission: spec.refused for spec in specs if spec.refused}

    def learn(self, spec: Spec) -> None:
        """Write a submission's spec where runners find it. One with secrets comes again and again: these may have changed."""
        if spec.submission in self.specs and not spec.options.secrets:
            return
        told: dict[str, Any] = {
            "function": spec.function,
            "modules": spec.modules,
            "name": spec.name,
            "python": spec.client_python,
            "env": spec.env | spec.secrets,
            "kill_process": spec.options.kill_process,
            "profile": spec.options.profile,
        }
        if spec.secrets:
            told["hidden"] = list(spec.secrets.values())
        key = int.from_bytes(hashlib.blake2b(encode(told), digest_size=8).digest(), "little")
        if key not in self._written:
            _write(self.spec_folder / f"{key}.json", json.dumps(told).encode())
        if not spec.options.secrets or self._hide(spec, key):
            self._written[key] += 1
        self.keys[spec.submission] = key
        self.specs[spec.submission] = spec
        if self._shelf.holds(spec):
            self.ready.add(spec.submission)

    def _hide(self, spec: Spec, key: int) -> bool:
        """Have the values of a spec masked, beside those that it had before; whether its key is a new one."""
        keys, values = self._sealed.setdefault(spec.submission, (set(), set()))
        new = key not in keys
        keys.add(key)
        values.update(spec.secrets.values())
        if new:
            self.masks[spec.submission] = Mask(values)
        return new

    def use(self, submission: int) -> None:
        """A lease of this submission came."""
        self.specs.move_to_end(submission)

    def forget(self, in_hand: Iterable[int]) -> None:
        """Drop the specs that were not used for longest, but for those of submissions in hand.

        Control counts the same way and remembers fewer than KNOWN, so it sends a spec again before it is missed.
        """
        if self._sealed:
            in_hand = set(in_hand)
            self.forget_secrets(in_hand)
        if len(self.specs) <= KNOWN and not self._shelf.full:
            return
        held = set(in_hand)
        if self._shelf.full:
            self._trim(held)
        spare = len(self.specs) - KNOWN + KNOWN // 4 if len(self.specs) > KNOWN else 0
        for submission in [s for s in islice(self.specs, spare) if s not in held]:
            self._drop(submission)

    def forget_secrets(self, in_hand: Iterable[int]) -> None:
        """Drop the specs with secrets of all submissions but those in hand: control sends them again."""
        for submission in self._sealed.keys() - set(in_hand):
            self._drop(submission)

    def _drop(self, submission: int) -> None:
        keys, _ = self._sealed.pop(submission, ({self.keys[submission]}, None))
        self.masks.pop(submission, None)
        del self.specs[submission], self.keys[submission]
        self.ready.discard(submission)
        for key in keys:
            self._written[key] -= 1
            if not self._written[key]:
                del self._written[key]
                (self.spec_folder / f"{key}.json").unlink(missing_ok=True)

    def _trim(self, held: set[int]) -> None:
        """Make room on the shelf; submissions whose code went fetch it again. One that fetches now counts as held."""
        busy = [self.specs[submission] for submission in (held | self._waiting.keys()) & self.specs.keys()]
        self._shelf.trim(self.specs.values(), busy)
        self.ready = {submission for submission in self.ready if self._shelf.holds(self.specs[submission])}

    def prepare(self, submission: int, then: Then) -> None:
        """Call ``then`` when the submission's code is here (None), or cannot be had (why)."""
        if submission in self.ready:
            then(None)
        elif submission in self._waiting:
            self._waiting[submission].append(then)
        else:
            self._waiting[submission] = [then]
            self._fetch(submission)

    def _fetch(self, submission: int) -> None:
        spec = self.specs[submission]

        sizes: dict[Path, int] = {}

        def work() -> None:
            for digest, place in self._shelf.places(spec):
                if not place.exists():
                    store(self._control.code(digest), digest, place)
                sizes[place] = size(place)

        def done(error: CloudException | None) -> None:
            if error is None:
                self._shelf.note(spec, sizes)
                self.ready.add(submission)
            for then in self._waiting.pop(submission, []):
                then(error)

        self._patiently(work, done)

    def fetch_arguments(self, lease: Lease, then: Callable[[Path | None, CloudException | None], None]) -> None:
        """Download large arguments into a file."""
        path = self.arguments / f"{lease.jid}.{lease.n}"
        self._patiently(lambda: self._control.download(lease.blob, path), lambda error: then(path, error))

    def keep_result(self, path: Path, outcome: Outcome, then: Callable[[Outcome], None]) -> None:
        """Upload a large result; ``then`` gets the outcome with its blob, or with the reason why there is none."""
        kept: list[str] = []

        def done(error: CloudException | None) -> None:
            path.unlink(missing_ok=True)
            if error is None:
                outcome.blob = kept[0]
            else:
                outcome.cause = Cause.storage
                message = f"The result could not be stored: {error.parameter}"
                outcome.failure = Failure("storage", message, error.hint or "run the job again")
            then(outcome)

        self._patiently(lambda: kept.append(self._control.upload(path)), done)

    def _patiently(self, act: Callable[[], object], then: Then) -> None:
        """Do something in a thread, again and again as long as it may succeed later."""

        def done(_: object, error: BaseException | None) -> None:
            if isinstance(error, CloudException) and error.retry:
                self._loop.after(RETRY, lambda: self._loop.work(act, done))
            else:
                then(error if error is None or isinstance(error, CloudException) else BadRequest(f"{error}"))

        self._loop.work(act, done)


def _write(path: Path, data: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    try:
        os.write(handle, data)
    finally:
        os.close(handle)


def store(data: bytes, digest: str, place: Path) -> None:
    """Put code in its place in one move.

    Raises:
        BadRequest: the bytes are not those of the digest, or the archive names a path outside of itself.
    """
    if hashlib.sha256(data).hexdigest() != digest:
        raise BadRequest(f"code {digest[:12]} arrived damaged", hint="run the job again")
    temporary = place.with_name(f".{digest}.{os.urandom(4).hex()}")
    if place.suffix == ".pkl":
        temporary.write_bytes(data)
        temporary.rename(place)
        return
    try:
        _unpack(data, temporary)
        if not place.exists():
            temporary.rename(place)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _unpack(data: bytes, folder: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for item in archive.infolist():
            if item.filename.startswith(("/", "\\")) or ".." in Path(item.filename).parts:
                raise BadRequest(f"the shipped modules name a path outside of themselves: {item.filename!r}")
        if sum(item.file_size for item in archive.infolist()) > MODULES_SIZE:
            raise BadRequest("the shipped modules are larger than 1 GiB unpacked", hint="put data into a bucket")
        archive.extractall(folder)
