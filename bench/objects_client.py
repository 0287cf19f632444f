"""The client of the objects benchmark: lines on stdin, each answered with one of JSON.

large BYTES FOLDER   {"limit", "put", "get": seconds, "grown": bytes}     limit: copy, fsync and md5 of the same bytes
small COUNT THREADS  {"put", "get": a second}                            of 10 KB, one request each
plain COUNT THREADS PORT                                                 the same with the bare file server
many COUNT           {"put", "get": a second, "rename": seconds}         of 10 KB, in batches
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import resource
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cloud import bucket

SMALL = 10_240
PIECE = 1 << 20


def large(size: int, folder: Path) -> dict[str, float]:
    """One object, there and back, beside what the disk and md5 alone take."""
    source, target = folder / "source", folder / "target"
    if not source.exists():
        with source.open("wb") as file:
            for _ in range(size // PIECE):
                file.write(os.urandom(PIECE))
    bucket.putf(b"", "warm")
    before = _resident()
    bucket.put(str(source), "large")  # everything is warm, and there is something to replace
    limit = _seconds(lambda: _copied(source, folder / "copy"))
    put = _seconds(lambda: bucket.put(str(source), "large"))
    get = _seconds(lambda: bucket.get("large", str(target)))
    assert target.stat().st_size == size
    return {"limit": limit, "put": put, "get": get, "grown": float(_resident() - before)}


def _resident() -> int:
    """The most that there was."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _copied(source: Path, target: Path) -> None:
    digest = hashlib.md5(usedforsecurity=False)
    with source.open("rb", buffering=0) as file, target.open("wb", buffering=0) as copy:
        while piece := file.read(PIECE):
            copy.write(piece)
            digest.update(piece)
        os.fsync(copy.fileno())
    assert digest.hexdigest() == bucket.get_md5("large")


def small(count: int, threads: int) -> dict[str, float]:
    """Objects one by one."""
    data = os.urandom(SMALL)

    def get(number: int) -> None:
        assert bucket.getf(f"small/{number}").read() == data

    return _rates(count, threads, lambda number: bucket.putf(data, f"small/{number}"), get)


def plain(count: int, threads: int, port: int, synced: int) -> dict[str, float]:
    """Files of the bare server one by one. ``synced``: 1 = on its disk before it answers."""
    data, local, name = os.urandom(SMALL), threading.local(), "synced" if synced else "file"

    def ask(method: str, number: int, body: bytes | None = None) -> bytes:
        if not hasattr(local, "link"):
            local.link = http.client.HTTPConnection("127.0.0.1", port)
        local.link.request(method, f"/{name}-{number}", body)
        found: bytes = local.link.getresponse().read()
        return found

    def get(number: int) -> None:
        assert ask("GET", number) == data

    return _rates(count, threads, lambda number: ask("PUT", number, data), get)


def _rates(count: int, threads: int, put: Callable[[int], object], get: Callable[[int], object]) -> dict[str, float]:
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(put, range(10 * threads)))
        return {
            "put": count / _seconds(lambda: list(pool.map(put, range(count)))),
            "get": count / _seconds(lambda: list(pool.map(get, range(count)))),
        }


def many(count: int) -> dict[str, float]:
    """Objects in batches, and the rename of their folder."""
    data = {f"many/{number:06}": os.urandom(SMALL) for number in range(count)}
    bucket.remove_prefix("many")
    put = _seconds(lambda: bucket.put_many(data))
    get = _seconds(lambda: _compare(data))
    rename = _seconds(lambda: bucket.rename("many", "many-2"))
    bucket.remove_prefix("many-2")
    return {"put": count / put, "get": count / get, "rename": rename}


def _compare(data: dict[str, bytes]) -> None:
    assert all(data[key] == found for key, found in bucket.get_many(data))


def _seconds(do: Callable[[], object]) -> float:
    began = time.perf_counter()
    do()
    return time.perf_counter() - began


def main() -> None:
    """Answer until the end of input."""
    for line in sys.stdin:
        verb, *words = line.split()
        if verb == "large":
            found = large(int(words[0]), Path(words[1]))
        else:
            found = {"small": small, "plain": plain, "many": many}[verb](*map(int, words))  # type: ignore[operator]
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
