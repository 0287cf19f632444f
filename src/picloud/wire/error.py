"""The one error tree. Every class has a stable code, an HTTP status and carries facts.

CloudException
 |- CloudTimeoutError      a client-side wait ran out, or a deadlock was found
 |- JobError               a job ended in error, stalled or killed (``failure`` has the evidence)
 |- BadRequest             the request cannot be served as it stands      400
 |   |- TooLarge           a size limit was passed                        413
 |   |- Skew               Python or wire versions do not fit             409
 |- NotAuthorized          no key, a wrong key, a closed attempt          401
 |- Forbidden              the key may not do this                        403
 |- NotFound               nothing there for this account                 404
 |- Conflict               the same token or chunk with another body      409
 |- TooMany                too many tries; wait before the next            429
 |- Unavailable            try again: starting, stopping, no connection   503
 |   |- StorageFull        the server's disk is nearly full               507
 |- SetupError             this machine or server is not set up rightly   500, local
 |- Corrupt                bytes arrived as others than were sent          500, local
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, TypedDict


class Told(TypedDict):
    """An error as it crosses HTTP."""

    code: str
    message: str
    hint: str | None
    retry: bool  # the same request may succeed later
    jid: int | None
    status: str | None
    facts: dict[str, Any]


class CloudException(Exception):
    """Any failure of PiCloud. The text is ``Job N: message`` or ``message``, and a TIP line with the next step.

    Attributes:
        parameter: the message alone.
        jid: the job it is about, or None.
        status: the job's state, or None.
        hint: one suggested next step, or None.
        retry: True where the same request may succeed later.
        facts: what was found, as a dict of plain values.
    """

    code: ClassVar[str] = "error"
    http_status: ClassVar[int] = 400
    retry: bool = False

    def __init__(
        self, message: str = "", *, jid: int | None = None, status: str | None = None, hint: str | None = None, **facts: Any
    ) -> None:
        self.parameter = message or (type(self).__doc__ or "").split("\n")[0]
        self.jid, self.status, self.hint, self.facts = jid, status, hint, facts
        super().__init__(self.parameter)

    def __str__(self) -> str:
        text = self.parameter if self.jid is None else f"Job {self.jid}: {self.parameter}"
        return f"{text}\nTIP: {self.hint}" if self.hint else text

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.parameter, self.jid, self.status, self.hint, self.facts, self.__dict__)

    def to_dict(self) -> Told:
        """The error as it crosses HTTP: ``{code, message, hint, retry, jid, status, facts}``."""
        return {
            "code": self.code,
            "message": self.parameter,
            "hint": self.hint,
            "retry": self.retry,
            "jid": self.jid,
            "status": self.status,
            "facts": self.facts,
        }


class CloudTimeoutError(CloudException):
    """The time allowed for waiting has passed."""

    code = "timeout"


class JobError(CloudException):
    """A job did not end well; ``failure`` holds cause, evidence and advice."""

    code = "job"
    failure: Any = None


class BadRequest(CloudException):
    """The request cannot be served as it stands."""

    code = "bad_request"


class TooLarge(BadRequest):
    """A size limit was passed."""

    code = "too_large"
    http_status = 413


class Skew(BadRequest):
    """Two sides run versions that do not fit."""

    code = "skew"
    http_status = 409


class NotAuthorized(CloudException):
    """The request carries no valid key."""

    code = "not_authorized"
    http_status = 401


class Forbidden(CloudException):
    """This key may not do that."""

    code = "forbidden"
    http_status = 403


class NotFound(CloudException):
    """Nothing of that name or number belongs to this account."""

    code = "not_found"
    http_status = 404


class Conflict(CloudException):
    """The same token or position was used before with another content."""

    code = "conflict"
    http_status = 409


class TooMany(CloudException):
    """There were too many tries; the next may come after a while."""

    code = "too_many"
    http_status = 429


class Unavailable(CloudException):
    """The server cannot answer now."""

    code = "unavailable"
    http_status = 503
    retry = True


class StorageFull(Unavailable):
    """The server's disk is nearly full; work that runs can still finish."""

    code = "storage_full"
    http_status = 507
    retry = False


class SetupError(CloudException):
    """This machine or server is not set up rightly."""

    code = "setup"
    http_status = 500


class Corrupt(CloudException, RuntimeError):
    """Bytes arrived as others than were sent or stored."""

    code = "corrupt"
    http_status = 500


def _tree(root: type[CloudException]) -> dict[str, type[CloudException]]:
    found = {root.code: root}
    for child in root.__subclasses__():
        found |= _tree(child)
    return found


BY_CODE = _tree(CloudException)


def from_dict(error: Mapping[str, Any]) -> CloudException:
    """The exception that :meth:`CloudException.to_dict` described; an unknown code becomes the root class."""
    facts = error.get("facts") or {}
    made = BY_CODE.get(error.get("code", ""), CloudException)(
        str(error.get("message", "")), jid=error.get("jid"), status=error.get("status"), hint=error.get("hint")
    )
    made.facts = facts
    made.retry = bool(error.get("retry"))
    return made


def _rebuild(
    kind: type[CloudException],
    message: str,
    jid: int | None,
    status: str | None,
    hint: str | None,
    facts: dict[str, Any],
    state: dict[str, Any],
) -> CloudException:
    made = kind(message, jid=jid, status=status, hint=hint)
    made.__dict__.update(state)
    made.facts = facts
    return made
