"""An S3 server for tests: moto in a process of its own, which checks signatures as S3 does, behind a door that fails on demand.

moto keeps everything in memory. What kills it, for those who use it, is therefore done to its door: connections break off,
the port refuses, and what had arrived by then is still there when the door opens again, as in a real S3.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

REGION = "us-east-1"
ALL = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
OPEN_CALLS = 3
"""Requests that moto takes from everybody: those that make the user whose key all later ones need."""
CUT = 0
"""In place of a status: the connection is closed without an answer."""
HALF = 1
"""In place of a status: it is closed in the middle of the answer."""

Rule = Callable[[str, str], "int | None"]


class S3:
    """A server, and a key that may do everything on it."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"INITIAL_NO_AUTH_ACTION_COUNT": str(OPEN_CALLS)},
        )
        assert self.process.stderr is not None
        said = next((line for line in self.process.stderr if "Running on" in line), "")
        assert said, "moto did not start"
        self.url = said.split()[-1]
        threading.Thread(target=self.process.stderr.read, daemon=True).start()  # a line for each request
        with contextlib.closing(self._client("iam", "nobody", "none")) as iam:
            iam.create_user(UserName="picloud")
            iam.put_user_policy(UserName="picloud", PolicyName="all", PolicyDocument=json.dumps(ALL))
            made = iam.create_access_key(UserName="picloud")["AccessKey"]
        self.key, self.secret = made["AccessKeyId"], made["SecretAccessKey"]
        self.client = self._client("s3", self.key, self.secret)

    def _client(self, service: str, key: str, secret: str) -> Any:
        import boto3  # late: most runs need none of it

        return boto3.client(
            service, endpoint_url=self.url, region_name=REGION, aws_access_key_id=key, aws_secret_access_key=secret
        )

    def stop(self) -> None:
        self.client.close()
        self.process.kill()
        self.process.communicate()


class Bucket:
    """A new bucket and the door to it."""

    def __init__(self, s3: S3) -> None:
        self.s3, self.name = s3, f"test-{uuid.uuid4().hex}"
        s3.client.create_bucket(Bucket=self.name)
        self.door = Door(s3.url)
        self.url = f"s3://{self.name}/blobs"

    @property
    def environment(self) -> dict[str, str]:
        """What those need in their environment who use it."""
        return {
            "AWS_ENDPOINT": self.door.url,
            "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": self.s3.key,
            "AWS_SECRET_ACCESS_KEY": self.s3.secret,
        }

    def sizes(self) -> dict[str, int]:
        """The bytes of each blob in it."""
        found = self.s3.client.list_objects_v2(Bucket=self.name).get("Contents", [])
        return {one["Key"].rpartition("/")[2]: one["Size"] for one in found}

    def unfinished(self) -> int:
        """Uploads in parts that were begun, and neither ended nor taken back."""
        return len(self._unfinished())

    def expire(self) -> int:
        """Remove those, as a rule of the bucket does after a day; how many there were."""
        found = self._unfinished()
        for one in found:
            self.s3.client.abort_multipart_upload(Bucket=self.name, Key=one["Key"], UploadId=one["UploadId"])
        return len(found)

    def _unfinished(self) -> list[dict[str, str]]:
        found: list[dict[str, str]] = self.s3.client.list_multipart_uploads(Bucket=self.name).get("Uploads", [])
        return found


class Door:
    """Passes requests on; may be closed, and told to refuse some.

    Attributes:
        rule: asked for each request with its method and path; the status to answer instead, CUT or HALF; None = pass it on.
        seen: method and path of each request.
    """

    def __init__(self, behind: str) -> None:
        self.behind = urlsplit(behind).netloc
        self.rule: Rule = pass_all
        self.seen: list[tuple[str, str]] = []
        self._port = 0
        self.open()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def open(self) -> None:
        """Listen (again), on the same port."""
        self._server = _Server(("127.0.0.1", self._port), self)
        self._port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        """Break every connection off and listen no more."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._server.cut()


def pass_all(method: str, path: str) -> int | None:
    """The rule of a server that works."""
    return None


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], door: Door) -> None:
        self.door = door
        self._connections: set[socket.socket] = set()
        super().__init__(address, _Passing)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def cut(self) -> None:
        for connection in list(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Broken connections are what it is for."""


class _Passing(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.behind = http.client.HTTPConnection(self.server.door.behind)

    def finish(self) -> None:
        self.behind.close()
        super().finish()

    def _pass(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.server.door.seen.append((self.command, self.path))
        status = self.server.door.rule(self.command, self.path)
        if status == CUT:
            self.close_connection = True
        elif status not in (None, HALF):
            self._answer(status, [], b"<Error><Code>Told</Code><Message>by the test</Message></Error>")
        else:
            self.behind.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                self.behind.putheader(name, value)
            self.behind.endheaders(body)
            with self.behind.getresponse() as answer:
                self._answer(answer.status, answer.getheaders(), answer.read(), 0.5 if status == HALF else 1)

    def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes, share: float = 1) -> None:
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in ("connection", "transfer-encoding", "content-length") or self.command == "HEAD":
                self.send_header(name, value)
        if self.command != "HEAD":
            self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: int(len(body) * share)] if self.command != "HEAD" else b"")
        self.close_connection |= share < 1

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _pass

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def new_bucket(s3: S3) -> Iterator[Bucket]:
    """A bucket, and its door open as long as the block lasts."""
    made = Bucket(s3)
    try:
        yield made
    finally:
        made.door.close()
