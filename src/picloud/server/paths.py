"""The parts of a route's path that stand for something: what fits there, and what it is."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

NUMBER = r"[0-9]{1,18}"


class Part(NamedTuple):
    """One ``{name}`` of a path."""

    pattern: str
    told: str
    free: bool = False  # anything: the handler says what is wrong with it

    @property
    def schema(self) -> dict[str, Any]:
        """The same for the OpenAPI document."""
        if self.pattern == NUMBER:
            return {"type": "integer", "minimum": 0, "maximum": 10**18 - 1}
        return {"type": "string", "minLength": 1} if self.free else {"type": "string", "pattern": f"^{self.pattern}$"}


PARTS = {
    "jid": Part(NUMBER, "A job"),
    "digest": Part(r"[0-9a-f]{64}", "SHA-256 in hexadecimal"),
    "account": Part(NUMBER, "The number of an account"),
    "label": Part(r"[A-Za-z0-9_+.-]{1,100}", "The label of a published function"),
    "queue": Part(r"[A-Za-z0-9_-]{1,39}", "The name of a queue"),
    "name": Part(r"[^/]{1,300}", "The name of an environment"),
    "token": Part(r"[^/]{1,300}", "What an invitation shows"),
    "page": Part(r"(?s:.{1,300})", "A page of the documentation"),
    "asset": Part(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,199}", "A file that the build has named by its content"),
    "file": Part(r"[a-z0-9-]{1,40}\.(?:svg|ico|png|txt|webmanifest)", "A file that browsers ask for by its name"),
    "key": Part(r"(?s:.+)", "The key of an object, with its slashes", free=True),
}
END = "{end}"
"""A slash that may be left out."""
_NAMED = re.compile(r"\{(\w+)\}")


def pattern(path: str) -> re.Pattern[str]:
    """What a path is compared with; its groups are the parts."""
    return re.compile(_NAMED.sub(lambda found: f"({PARTS[found[1]].pattern})", path.replace(END, "/?")))


def named(path: str) -> list[str]:
    """The names of its parts."""
    return _NAMED.findall(path.replace(END, ""))
