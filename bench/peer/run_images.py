"""The image pipeline of examples/13 in a bare process pool: the same steps, a folder in the place of the bucket, no queues.

python run_images.py EXAMPLES FOLDER COUNT PROCESSES SERVER    ->  {"seconds": .., "pictures": ..} on stdout
"""

import contextlib
import json
import multiprocessing
import os
import runpy
import sys
import time
from urllib.error import HTTPError

sys.path.insert(0, sys.argv[1])

from imgpipeline import steps

FOLDER, COUNT, PROCESSES, SERVER = sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]
TRIES = 4


class Bucket:
    """What the steps ask of ``cloud.bucket``, in a folder."""

    def putf(self, data, key):
        path = os.path.join(FOLDER, key)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(data)

    def getf(self, key):
        return open(os.path.join(FOLDER, key), "rb")

    def make_public(self, key):
        return f"file://{FOLDER}/{key}"


class Cloud:
    """In the place of ``cloud``."""

    bucket = Bucket()


steps.cloud = Cloud
SMALL, MEDIUM, SEPIA = steps.ImageThumbnail(), steps.ImageMediumSize(), steps.ImageSepia()


def whole(target):
    """One photograph through all steps; how many pictures were made of it."""
    with contextlib.redirect_stdout(None):
        for _ in range(TRIES):
            try:
                found = steps.scrape_to_bucket(target)
                break
            except HTTPError:
                continue
            except Exception:  # noqa: BLE001 whatever the step says of it, it is no image
                return 0
        else:
            return 0
        medium = MEDIUM.message_handler(found)
        made = [SMALL.message_handler(found), medium, SEPIA.message_handler(medium)]
        return len([steps.callback(one) for one in made])


def main():
    urls = runpy.run_path(os.path.join(sys.argv[1], "13_image_pipeline.py"))["urls"]
    targets = list(urls(COUNT, SERVER))
    with multiprocessing.get_context("fork").Pool(PROCESSES) as pool:
        began = time.perf_counter()
        pictures = sum(pool.imap_unordered(whole, targets))
        print(json.dumps({"seconds": time.perf_counter() - began, "pictures": pictures}))


if __name__ == "__main__":
    main()
