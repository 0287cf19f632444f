"""What surrounds the runners: the environment variables they get, and what the kernel says about memory."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

PASSED = (
    "PATH",
    "LANG",
    "LANGUAGE",
    "TZ",
    "USER",
    "LOGNAME",
    "SHELL",
    "LD_LIBRARY_PATH",
    "PYTHONPATH",
    "VIRTUAL_ENV",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "CUDA_VISIBLE_DEVICES",
)
"""Variables that a runner inherits (and all LC_*). The rest of the server's environment may hold secrets."""

THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "BLIS_NUM_THREADS",
    "RAYON_NUM_THREADS",
)
"""Set to the job's cores: a library that takes a thread for each core of the host only gets in its own way."""


ANYWHERE = ("LANG", "LANGUAGE", "TZ", "http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY",
            "CUDA_VISIBLE_DEVICES")  # fmt: skip
"""Those of them that mean the same in another file system."""


def passed(names: Iterable[str] = PASSED) -> dict[str, str]:
    """Variables of ours that jobs get too."""
    return {name: value for name, value in os.environ.items() if name in names or name.startswith("LC_")}


def threads(cores: int) -> dict[str, str]:
    """What tells libraries how many threads to start."""
    return dict.fromkeys(THREADS, str(cores))


def free_memory() -> int:
    """Bytes of memory that the host could give without swapping."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0


def oom_kills() -> int:
    """How many processes the kernel has killed for lack of memory since it started."""
    for line in Path("/proc/vmstat").read_text().splitlines():
        if line.startswith("oom_kill "):
            return int(line.split()[1])
    return 0


_seen = oom_kills()


def kernel_killed() -> bool:
    """Whether the kernel has killed for lack of memory since this was asked last."""
    global _seen
    before, _seen = _seen, oom_kills()
    return _seen > before
