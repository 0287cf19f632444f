"""A server of objects in memory, for what a real one does not do when asked: it cuts, changes bytes, lets tickets end."""

from __future__ import annotations

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from zlib import crc32

import msgspec

from picloud.wire.error import CloudException, Forbidden
from picloud.wire.object import Content, Contents, Keys, Object, Put

encode, decode = msgspec.msgpack.encode, msgspec.msgpack.decode


class Shelf(ThreadingHTTPServer):
    """Objects by key, blobs by id. The attributes say what shall go wrong, and how often."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.blobs: dict[str, bytes] = {}
        self.objects: dict[str, Content] = {}
        self.log: list[str] = []
        self.cut_puts: list[int] = []  # after so many bytes the connection of a PUT is cut
        self.cut_gets: list[int] = []
        self.wrong_sums = 0  # so often another CRC-32 is told
        self.wrong_bytes = 0  # so often the first byte of a GET is another
        self.ended_tickets = 0
        self.lost_answers = 0  # of puts of objects
        self.between = lambda: None  # called when a PUT was cut
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def stop(self) -> None:
        self.shutdown()
        self.server_close()

    def count(self, start: str) -> int:
        """How many requests began so."""
        return sum(line.startswith(start) for line in self.log)

    def handle_error(self, *_: Any) -> None:
        """A client that left before its answer came is part of the game."""

    def put(self, asked: Put) -> list[Object]:
        for one in asked.objects:
            found = self.objects.get(one.key)
            version = found.object.version + 1 if found else 1
            made = Object(one.key, 1, version, one.size, 0, 0, one.md5, headers=one.headers)
            urls = [(piece.length, f"{self.url}/blob/{piece.blob}") for piece in one.extents]
            self.objects[one.key] = Content(made, one.data, urls, [piece.start for piece in one.extents])
        return [self.objects[one.key].object for one in asked.objects]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Shelf

    def log_message(self, *_: Any) -> None:
        """Quiet."""

    def do_POST(self) -> None:
        self.server.log.append(f"POST {self.path}")
        body = self.rfile.read(int(self.headers["Content-Length"]))
        shelf = self.server
        if self.path == "/v1/blob":
            name = f"{len(shelf.blobs):032x}"
            shelf.blobs[name] = b""
            self.answer(json.dumps({"blobs": [{"id": name, "url": f"{shelf.url}/blob/{name}"}]}).encode())
        elif self.path == "/v1/object/put":
            told = shelf.put(decode(body, type=Put))
            if shelf.lost_answers:
                shelf.lost_answers -= 1
                self.close_connection = True
                return
            self.answer(encode(told))
        elif self.path == "/v1/object/get":
            keys = decode(body, type=Keys).keys
            self.answer(encode(Contents([shelf.objects[key] for key in keys if key in shelf.objects], len(keys))))

    def do_PUT(self) -> None:
        self.server.log.append(f"PUT {self.path}")
        size, shelf = int(self.headers["Content-Length"]), self.server
        if shelf.cut_puts:
            self.rfile.read(shelf.cut_puts.pop(0))
            shelf.between()
            self.close_connection = True
            return
        data = self.rfile.read(size)
        shelf.blobs[self.path.rpartition("/")[2]] = data
        found = crc32(data)
        if shelf.wrong_sums:
            shelf.wrong_sums -= 1
            found ^= 1
        self.answer(json.dumps({"size": size, "crc32": found}).encode())

    def do_GET(self) -> None:
        self.server.log.append(f"GET {self.path} {self.headers['Range']}")
        shelf = self.server
        if shelf.ended_tickets:
            shelf.ended_tickets -= 1
            self.fail(Forbidden("the ticket has ended"))
            return
        first, last = map(int, re.findall(r"\d+", self.headers["Range"]))
        data = bytearray(shelf.blobs[self.path.rpartition("/")[2]][first : last + 1])
        if shelf.wrong_bytes:
            shelf.wrong_bytes -= 1
            data[0] ^= 1
        self.send_response(206)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if shelf.cut_gets:
            self.wfile.write(data[: shelf.cut_gets.pop(0)])
            self.close_connection = True
            return
        self.wfile.write(data)

    def answer(self, body: bytes, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def fail(self, error: CloudException) -> None:
        self.answer(json.dumps({"error": error.to_dict()}).encode(), error.http_status)
