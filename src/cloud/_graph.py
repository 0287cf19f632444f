"""The account's queues and what leads from one to another."""

from __future__ import annotations

from typing import Any

from cloud import _queues
from cloud._letters import when


def read() -> dict[str, list[dict[str, Any]]]:
    """See ``cloud.queue.graph``."""
    found = [shown(one) for one in _queues.listing()]
    return {"queues": found, "edges": [edge for one in found if one["handler"] for edge in _edges(one["name"], one["handler"])]}


def shown(found: dict[str, Any]) -> dict[str, Any]:
    """A queue as the server tells of it, with times that people can read; see ``CloudQueue.info``."""
    handler = found["handler"]
    return found | {
        "created": when(found["created"]),
        "windows": [(when(at), *rest) for at, *rest in found["windows"]],
        "handler": handler and handler | {"created": when(handler["created"])},
    }


def _edges(queue: str, handler: dict[str, Any]) -> list[dict[str, Any]]:
    outputs = [{"from": queue, "to": name, "exception": None, "delay": 0.0} for name in handler["output_queues"]]
    errors = [
        {"from": queue, "to": edge["queue"], "exception": edge["exception"], "delay": edge["delay"]}
        for edge in handler["on_error"]
    ]
    return outputs + errors
