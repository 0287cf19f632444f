"""The edge's questions to control: who somebody is, and the way into a job."""

from __future__ import annotations

import asyncio
import http.client
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

from picloud.wire import nearby
from picloud.wire.error import CloudException, Unavailable, from_dict

TIMEOUT = 20.0


class Control:
    """Control as the edge sees it.

    Args:
        url: where it listens on this machine.
        authority: what proves that we are its edge.
    """

    def __init__(self, url: str, authority: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 80
        self._headers = {"Authorization": f"Edge {authority}", "Content-Type": "application/json"}
        self._threads = ThreadPoolExecutor(8, thread_name_prefix="control")  # short questions; bytes have threads of their own

    async def ask(self, path: str, question: dict[str, Any]) -> dict[str, Any]:
        """The answer to a question.

        Raises:
            CloudException: the error that control answers with.
            Unavailable: it does not answer.
        """
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._ask, path, json.dumps(question))

    def _ask(self, path: str, question: str) -> dict[str, Any]:
        line = http.client.HTTPConnection(self._host, self._port, timeout=TIMEOUT)
        try:
            line.sock = nearby.connect(self._host, self._port, TIMEOUT)
            line.request("POST", path, question, self._headers)
            answer = line.getresponse()
            said: dict[str, Any] = json.loads(answer.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise Unavailable(f"the server does not answer: {error}", hint="try again in a moment") from error
        finally:
            line.close()
        if answer.status >= 400:
            raise from_dict(said["error"]) if "error" in said else CloudException(f"the server answered {answer.status}")
        return said
