"""A pipeline of queues: photographs are scraped, made small, made brown, and called back. The first one of PiCloud, from 2013.

    img-urls -> scrape -> thumbnail -----------------> callback
                      \\-> medium -> sepia ----------/
                       \\- - -> bad-urls

They come from a server that is a job as well, and that fails at times. `--images N` says how many, `--keep` leaves all there.
Needs Pillow and scikit-image: pip install '.[demo]'

Prints::

    ... images in ... s: ... images/s, ... pictures made, ... bad urls
    ...
    all of them are there, in the right size, and called back
"""

import argparse
import os
import sys
import time
from urllib.error import HTTPError, URLError

from imgpipeline import check, photos, steps
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

import cloud
from picloud.cli.main import run

NAMES = ("img-urls", "thumbnail", "medium", "sepia", "callback", "ready", "bad-urls")
PATIENCE = 120
"""Seconds without any progress after which it has failed."""


def build(parallel):
    """Attach everything; the queues by name."""
    queues = {name: cloud.queue.get(f"demo-{name}") for name in NAMES}
    for queue in queues.values():
        queue.delete()
    queues["img-urls"].attach(
        steps.scrape_to_bucket,
        [queues["thumbnail"], queues["medium"]],
        retry_on=[HTTPError, URLError],
        max_retries=3,
        retry_delay=1,
        on_error={Exception: {"queue": queues["bad-urls"]}},
        readers_per_job=4,
        max_parallel_jobs=parallel,
    )
    callback, sepia = queues["callback"], queues["sepia"]
    queues["thumbnail"].attach(steps.ImageThumbnail(), [callback], max_parallel_jobs=parallel)
    queues["medium"].attach(steps.ImageMediumSize(), [sepia, callback], max_parallel_jobs=parallel)
    sepia.attach(steps.ImageSepia(), [callback], max_parallel_jobs=parallel)
    callback.attach(steps.callback, [queues["ready"]])
    return queues


def urls(count, server):
    """Where the photographs are; one in forty is lost, and the last is no image."""
    for number in range(count):
        name = photos.PHOTOS[number % len(photos.PHOTOS)] if number % 40 != 7 else photos.LOST
        name = photos.TEXT if number == count - 1 else name
        yield {"id": f"demo-{number + 1}", "url": f"{server}/{number + 1}/{name}"}


def gather(ready, bad, good, failing):
    """The records of all callbacks, as they come; a bar for each thing that is made."""
    records, since = [], time.monotonic()
    columns = (TextColumn("{task.description:<6}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, disable=not sys.stdout.isatty(), transient=True) as bars:
        tasks = {name: bars.add_task(name, total=good) for name in check.MADE}
        while len(records) < good * len(check.MADE) or bad.count() < failing:
            came = ready.pop(timeout=1)
            time.sleep(0.1)  # what comes meanwhile comes together
            for one in came:
                bars.advance(tasks[one["transforms"][-1]])
            records += came
            if came:
                since = time.monotonic()
            elif time.monotonic() - since > PATIENCE:
                break  # what is missing is said below
    return records


def popped(queue):
    """All that waits in a queue."""
    found = []
    while some := queue.pop(timeout=0):
        found += some
    return found


def work(count, server, queues):
    """Push, wait, show; sentences about everything that is not as it should be."""
    targets = list(urls(count, server))
    failing = sum(one["url"].endswith((photos.LOST, photos.TEXT)) for one in targets)
    began = time.perf_counter()
    queues["img-urls"].push(targets)
    records = gather(queues["ready"], queues["bad-urls"], len(targets) - failing, failing)
    seconds = time.perf_counter() - began
    rate = f"{len(targets) / seconds:.1f} images/s"
    print(f"{len(targets)} images in {seconds:.1f} s: {rate}, {len(records)} pictures made, {failing} bad urls")
    sys.stdout.flush()
    run(["queue", "graph"])
    return list(check.wrong(targets, records, popped(queues["bad-urls"])))


def main():
    parser = argparse.ArgumentParser(description="Photographs through a pipeline of queues.")
    parser.add_argument("--images", type=int, default=300, help="how many (300)")
    parser.add_argument("--keep", action="store_true", help="leave queues and images there")
    asked = parser.parse_args()
    queues = build(max(1, (os.cpu_count() or 1) // 2))
    # A type of its own: it mostly waits, and would take a core from those that compute.
    jid = cloud.call(photos.serve, 2013, _label="photographs", _type="s1")
    try:
        place = cloud.wait_for.port(jid, photos.PORT)
        found = work(asked.images, f"http://{place['address']}:{place['port']}", queues)
    finally:
        cloud.kill(jid)
    print(*found or ["all of them are there, in the right size, and called back"], sep="\n")
    if asked.keep:
        print("one of them:", cloud.bucket.public_url_folder() + "imgs/demo-1/original.med.sepia.png")
    else:
        for queue in queues.values():
            queue.delete()
        for number in range(asked.images):
            cloud.bucket.remove_prefix(f"imgs/demo-{number + 1}")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
