"""Sees to it that nothing survives a worker that is killed: a shell that waits for the end of its standard input.

Runners die with their worker by themselves (parent-death signal); what their jobs have started does not. The warden is
told of each runner's session, and when the worker is gone, however it went, it kills what is left of those sessions.
"""

from __future__ import annotations

import contextlib
import subprocess

PATIENCE = 5.0
"""Seconds for its last work."""
SCRIPT = r"""
all=" "
while read -r what sid; do
  rest=" "; for one in $all; do [ "$one" = "$sid" ] || rest="$rest$one "; done
  all=$rest; [ "$what" = + ] && all="$all$sid "
done
[ "$all" = " " ] && exit
for again in 1 2 3; do
  for file in /proc/[0-9]*/stat; do
    { read -r line < "$file"; } 2>/dev/null || continue
    set -- ${line##*) }
    case "$all" in *" $4 "*) pid=${file#/proc/}; kill -9 "${pid%/stat}" 2>/dev/null ;; esac
  done
done
"""


class Warden:
    """The shell, as its worker sees it."""

    def __init__(self) -> None:
        self._shell = subprocess.Popen(
            ["/bin/sh", "-c", SCRIPT],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd="/",
        )

    def begins(self, session: int) -> None:
        """A runner leads this session."""
        self._tell(f"+ {session}\n")

    def ended(self, session: int) -> None:
        """Nothing of this session is left."""
        self._tell(f"- {session}\n")

    def close(self) -> None:
        """Let it do its work and wait for its end; for an orderly end of the worker."""
        if self._shell.stdin is not None:
            with contextlib.suppress(OSError):
                self._shell.stdin.close()
            self._shell.stdin = None
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._shell.wait(PATIENCE)

    def _tell(self, line: str) -> None:
        if self._shell.stdin is not None:
            with contextlib.suppress(OSError):  # killed by somebody: then there is nobody to tell
                self._shell.stdin.write(line.encode())
                self._shell.stdin.flush()
