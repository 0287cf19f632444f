"""How fast is the way into a running job? ``python -m bench.shell``

OpenSSH's own clients, whole processes: ``ssh .. true``, the same by ``picloud ssh``, 50 MB by scp each way, and
``picloud exec-shell`` up to the prompt.
"""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.row import Row, show
from bench.server import Server
from bench.statistic import median, span

SIZE = 50_000_000
PICLOUD = str(Path(sys.executable).with_name("picloud"))
PROMPT = b"$ "
ROOT_PROMPT = b"# "


def measure(rounds: int = 3) -> list[Row]:
    """Each way in several times; medians."""
    with Server() as server:
        jid = server.picloud("exec", "exec sleep 3600").strip()
        (info,) = json.loads(server.picloud("-o", "json", "ssh-info", jid))
        words = _options(server, info)
        there = f"{info['username']}@{info['address']}"
        ssh = ["ssh", *words, "-p", str(info["port"]), there, "true"]
        direct = [_seconds(server, ssh) * 1e3 for _ in range(5 * rounds)]
        through = [_seconds(server, [PICLOUD, "ssh", jid, "true"]) * 1e3 for _ in range(3 * rounds)]
        with tempfile.TemporaryDirectory() as folder:
            local = Path(folder, "data")
            local.write_bytes(os.urandom(SIZE))
            scp = ["scp", "-q", *words, "-P", str(info["port"])]
            up = [_rate(server, [*scp, str(local), f"{there}:data"]) for _ in range(rounds)]
            down = [_rate(server, [*scp, f"{there}:data", f"{local}.back"]) for _ in range(rounds)]
        server.picloud("kill", jid)
        prompts = [_prompt(server) for _ in range(rounds)]
    more = median(through) - median(direct)
    return [
        Row("`ssh JID@host true`", f"{span(direct)} ms", "<= 150 ms", median(direct) <= 150, values={"ms": direct}),
        Row("`picloud ssh JID true`", f"{span(through)} ms", "200 ms more", more <= 200, values={"ms": through}),
        Row("50 MB into a job by scp", f"{span(up)} MB/s", ">= 60 MB/s", median(up) >= 60, values={"mb_s": up}),
        Row("50 MB out of a job by scp", f"{span(down)} MB/s", ">= 60 MB/s", median(down) >= 60, values={"mb_s": down}),
        Row("`picloud exec-shell` to the prompt", f"{span(prompts, 2)} s", "<= 1.5 s", median(prompts) <= 1.5,
            values={"seconds": prompts}),
    ]  # fmt: skip


def _options(server: Server, info: dict[str, str]) -> list[str]:
    known = f"UserKnownHostsFile={server.home}/known"
    return ["-F", "none", "-i", info["identity"], "-o", "IdentitiesOnly=yes", "-o", "StrictHostKeyChecking=no", "-o", known]


def _seconds(server: Server, words: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(words, env=server.env, check=True, stdin=subprocess.DEVNULL, capture_output=True)
    return time.perf_counter() - began


def _rate(server: Server, words: list[str]) -> float:
    return SIZE / 1e6 / _seconds(server, words)


def _prompt(server: Server) -> float:
    """Seconds from the command to the first prompt; then the shell is left."""
    began = time.perf_counter()
    pid, terminal = pty.fork()
    if not pid:
        os.execve(PICLOUD, [PICLOUD, "exec-shell"], server.env | {"TERM": "xterm"})
    said = b""
    while PROMPT not in said and ROOT_PROMPT not in said:
        if not select.select([terminal], [], [], 30)[0]:
            raise RuntimeError(f"no prompt, but {said!r}")
        said += os.read(terminal, 65_536)
    took = time.perf_counter() - began
    os.write(terminal, b"exit\n")
    while select.select([terminal], [], [], 10)[0]:
        try:
            os.read(terminal, 65_536)
        except OSError:
            break
    os.waitpid(pid, 0)
    os.close(terminal)
    return took


if __name__ == "__main__":
    show(measure())
