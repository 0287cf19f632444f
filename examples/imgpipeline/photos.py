"""Real photographs, from scikit-image's wheel, and a server of them that fails at times."""

import importlib.util
import os
import random
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PORT = 8000
PHOTOS = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "motorcycle_left.png", "moon.png", "motorcycle_right.png")
LOST, TEXT = "lost.jpg", "text.jpg"
"""Of the first the server knows nothing; the second is no image, whatever its name says."""


def folder():
    """Where the photographs are."""
    found = importlib.util.find_spec("skimage")
    if found is None:
        raise SystemExit("the photographs are those of scikit-image: pip install '.[demo]'")
    return Path(found.submodule_search_locations[0]) / "data"


def serve(seed):
    """Serve ``/<id>/<photograph>`` until the job is killed; one request in eight is answered with 503, up to twice an image."""
    failures, lock, root = {}, threading.Lock(), folder()

    class Photos(BaseHTTPRequestHandler):
        def do_GET(self):
            name = os.path.basename(self.path)
            if self.is_busy():
                self.answer(503, b"try again later")
            elif name == TEXT:
                self.answer(200, b"this is no image")
            elif name in PHOTOS:
                self.answer(200, (root / name).read_bytes())
            else:
                self.answer(404, b"no such photograph")

        def is_busy(self):
            with lock:
                if self.path not in failures:
                    chance = random.Random(f"{seed}{self.path}").random()
                    failures[self.path] = (chance < 1 / 8) + (chance < 1 / 64)
                failures[self.path] -= 1
                return failures[self.path] >= 0

        def answer(self, code, body):
            self.send_response(code)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *words):
            """Say nothing."""

    ThreadingHTTPServer(("127.0.0.1", PORT), Photos).serve_forever()
