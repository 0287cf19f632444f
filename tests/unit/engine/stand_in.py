"""A stand-in for ``python -m picloud.worker``: does what its core type says."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

order = json.loads(sys.stdin.readline())
folder = Path(order["folder"])
print("started", order["incarnation"], flush=True)

if order["core_type"] == "exits":
    print("no such core type", flush=True)
    sys.exit(3)
if order["core_type"] == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if order["core_type"] == "litters":
    child = subprocess.Popen(["sleep", "300"], start_new_session=True)
    (folder / "child").write_text(str(child.pid))
    (folder / "shut").mkdir(mode=0o500)

(folder / "order.json").write_text(json.dumps(order))
(folder / "environment.json").write_text(json.dumps(dict(os.environ)))
(folder / "ready").touch()
while order["core_type"] == "drains":
    if (folder / "drained").exists():
        print("drained", flush=True)
        sys.exit(0)
    time.sleep(0.01)
time.sleep(300)
