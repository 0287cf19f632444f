"""A sample as people and programs read it: seconds, bytes, None for what the host cannot tell."""

from __future__ import annotations

from typing import Any

import msgspec

from picloud.wire.message import Sample


def shown(sample: Sample) -> dict[str, Any]:
    """One sample, by the names of ``cloud.info``."""
    return {
        "attempt": sample.n,
        "at": sample.at_ms / 1000,
        "cputime": {"user": sample.cpu_user_us / 1e6, "system": sample.cpu_system_us / 1e6},
        "memory": {
            "usage": sample.memory,
            "max_usage": sample.peak,
            "failcnt": sample.refused,
            "cache": sample.cache,
            "limit_hits": sample.limit_hits,
            "kernel_kills": sample.kernel_kills,
        },
        "swap": {"usage": sample.swap},
        "disk": {"usage": sample.disk_used, "read": sample.disk_read, "written": sample.disk_written},
        "network": {"in": sample.net_in, "out": sample.net_out},
        "processes": sample.processes,
    }


def told(sample: Sample) -> bytes:
    """The same as a line of JSON."""
    return msgspec.json.encode(shown(sample)) + b"\n"
