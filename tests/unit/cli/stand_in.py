"""A stand-in for ``python -m picloud.server``: the promises that the command line relies on, without jobs."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec

from picloud import __version__, settings
from picloud.server import home as homes
from picloud.server.address import is_loopback, listen, url
from picloud.server.credentials import point_client, write_owner_credentials
from picloud.server.lock import lock
from picloud.wire.error import CloudException

STATUS = {
    "version": __version__,
    "workers": [{"incarnation": "ab", "kind": 1, "core_type": "c1", "cores": 1, "slots": 2, "busy": 1, "pid": 7}],
    "capacity": {"cores": 2, "units": 16000, "memory": 8 << 30},
    "jobs": {"queued": 5, "processing": 1},
}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.answer({"ok": True, "pid": os.getpid()} if self.path == "/v1/health" else self.allowed(self.path))

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or b"{}")
        self.answer(self.allowed(self.path, body))

    def allowed(self, path: str, body: Any = None) -> dict[str, Any]:
        if self.headers["Authorization"] != "Basic NDcxMTpzM2NyZXQ=":  # 4711:s3cret
            return {"error": {"code": "not_authorized", "message": "this key is not known here", "hint": "picloud setup"}}
        if path == "/v1/admin/account":
            return {"name": body["name"], "api_key": 4712, "api_secretkey": "other"}
        if path == "/v1/login/ticket":
            return {"ticket": "fresh"}
        if path == "/v1/server":
            return {"version": __version__, "account": "ann", "pid": os.getpid()}
        return STATUS | {"address": self.server.address, "pid": os.getpid(), "started": 1}  # type: ignore[attr-defined]

    def answer(self, value: dict[str, Any]) -> None:
        body = json.dumps(value).encode()
        self.send_response(401 if "error" in value else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


def serve(options: settings.Settings) -> None:
    home = Path(options.home)
    homes.prepare(options)
    held = lock(home)
    if (home / "slow").exists():
        time.sleep(0.5)
    former = homes.read_server_file(home)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler, bind_and_activate=False)
    server.socket.close()
    server.socket = listen("127.0.0.1", options.port, prefer=former.port if former else None)
    port = server.socket.getsockname()[1]
    server.address = url("127.0.0.1", port, tls=False)  # type: ignore[attr-defined]
    first = not (home / "picloud.sqlite").exists()
    if first:
        (home / "picloud.sqlite").touch()
        write_owner_credentials(home, 4711, "s3cret", server.address)  # type: ignore[attr-defined]
    point_client(home, server.address)  # type: ignore[attr-defined]
    remote = None if is_loopback(options.host) else url(options.host, port, tls=not options.insecure)
    file = homes.ServerFile(
        address=server.address,  # type: ignore[attr-defined]
        pid=os.getpid(), started=int(time.time() * 1000), version=__version__, owner="ann", first=first, remote=remote,
        login_url=f"http://127.0.0.1:{port}/#ticket", host=options.host, port=port, insecure=options.insecure,
        configured=homes.Configured.of(settings.load()),
        tls_fingerprint="ab12" if remote and not options.insecure else None,
    )  # fmt: skip
    homes.write_server_file(home, file)
    worker = home / "worker"
    if worker.exists() and not worker.read_text():
        worker.write_text(str(subprocess.Popen(["sleep", "300"], start_new_session=True).pid))
    print(json.dumps({"ready": True} | msgspec.to_builtins(file)), flush=True)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
        signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
    server.serve_forever()
    held.release()


if __name__ == "__main__":
    overrides = json.loads(sys.stdin.readline())
    try:
        if Path(os.environ["PICLOUD_HOME"], "dies").exists():
            sys.exit("no luck today")
        serve(settings.load(**overrides))
    except CloudException as error:
        print(json.dumps({"error": error.to_dict()}), flush=True)
        sys.exit(3)
