"""Grants: apply for credit at a call of your server's owner, and see what became of it.

    cloud.grant.calls()
    cloud.grant.apply(name="Ann Example", institution="Example University", position="postdoc",
                      biography="..", research="..", attachments=["plan.pdf"])
    cloud.grant.status()[0]["state"]

An application is your account's; there is one for each call. Until the deadline, and as long as it was not decided on, it can be
changed and withdrawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import Any

from cloud import _grants

__all__ = ["apply", "calls", "status", "withdraw"]


def calls() -> Sequence[dict[str, Any]]:
    """The calls that are open, the newest first.

    Returns:
        Dicts: ``name``, ``deadline`` (a datetime in UTC), ``awards`` (how many at most), ``dollars`` and the exact ``amount`` of
        each ($1 = 3,600,000,000,000), ``expires`` (when the grants end; None = never).

    Raises:
        SetupError: jobs are simulated: they cost nothing.
    """
    return [_grants.call(one) for one in _grants.ask("GET", "call")["calls"]]


def apply(
    *,
    name: str | None = None,
    institution: str | None = None,
    position: str | None = None,
    biography: str | None = None,
    research: str | None = None,
    attachments: Sequence[str | PathLike[str]] | None = None,
    call: str | None = None,
) -> dict[str, Any]:
    """Send an application; or change the one that was sent: what is not given stays as it is.

    Args:
        name, institution, position: of the applicant, a line each of at most 200 characters.
        biography: plain text of at most 20,000 characters.
        research: the same: a summary of what the hours are for.
        attachments: files of this machine, at most 10 of 32 MiB each; all that were attached before are replaced. The server
            keeps copies: what happens to the files later changes nothing.
        call: its name; None = the only one that is open.

    Returns:
        The application, as :func:`status` lists it.

    Raises:
        BadRequest: something lacks, is too long, or no plain text; or ``call`` is None and several are open.
        Conflict: the call is closed, or it was decided on the application.
        NotFound: there is no such call.
        OSError: a file cannot be read.
    """
    told = {"name": name, "institution": institution, "position": position, "biography": biography, "research": research}
    return _grants.apply(told, attachments, call)


def status() -> Sequence[dict[str, Any]]:
    """The applications of your account, the newest first.

    Returns:
        Dicts: ``application`` (its number), ``call``, ``state`` ("sent", "awarded", "declined" or "withdrawn"), ``note`` of who
        decided, ``grant`` (the number of the grant that it became, see ``cloud.credit``), ``dollars``, ``amount``; what was sent:
        ``name, institution, position, biography, research``, ``attachments`` (``name`` and ``size`` in bytes of each); ``sent``,
        ``changed`` and ``decided`` (datetimes in UTC, or None).
    """
    return [_grants.application(one) for one in _grants.ask("GET", "application")["applications"]]


def withdraw(call: str | None = None) -> dict[str, Any]:
    """Take your application back; before the deadline :func:`apply` sends it again.

    Args:
        call: as for :func:`apply`.

    Raises:
        NotFound: there is no such call, or nothing was sent for it.
        Conflict: the call is closed, or it was decided on the application.
    """
    return _grants.application(_grants.ask("POST", "application/withdraw", {"call": call or ""}))
