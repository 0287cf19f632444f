"""Sends the figures of /metrics to an OpenTelemetry collector (OTLP over HTTP, in JSON), where the setting says so."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import urllib.request
from typing import TYPE_CHECKING

from picloud import __version__
from picloud.server.metrics import otlp
from picloud.server.storage import now_ms
from picloud.wire.error import CloudException

if TYPE_CHECKING:
    from picloud.server.control import Control

log = logging.getLogger("picloud.telemetry")

PERIOD, PATIENCE = 15.0, 10.0
"""Seconds from one time to the next, and for the collector to answer."""
PATH = "/v1/metrics"


async def run(control: Control) -> None:
    """Send them again and again until cancelled; nothing is done where no collector is set."""
    endpoint = control.settings.otlp_endpoint.rstrip("/")
    if not endpoint:
        return
    resource = {"service.name": "picloud", "service.version": __version__, "host.name": socket.gethostname()}
    failing = False
    while True:
        try:
            told = otlp(await control.overview.all(), resource, int(control.started * 1000), now_ms())
            await asyncio.to_thread(_send, endpoint + PATH, json.dumps(told).encode())
            failing = False
        except (OSError, ValueError, CloudException) as error:
            if not failing:  # once, until it works again
                log.warning("metrics could not be sent to %s: %s", endpoint, error)
            failing = True
        await asyncio.sleep(PERIOD)


def _send(url: str, body: bytes) -> None:
    """Raises OSError where it does not get there, or is not taken."""
    asked = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(asked, timeout=PATIENCE) as answer:
        answer.read()
