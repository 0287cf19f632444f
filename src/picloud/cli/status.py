"""``picloud status``: of the server, or of jobs; and ``picloud login-link``."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import click
import msgspec

from picloud import settings
from picloud.cli.call import Server, call, configured
from picloud.cli.client import JIDS, client, each
from picloud.cli.flags import command, given
from picloud.cli.output import answer, table
from picloud.cli.usage import summary
from picloud.server import home as homes
from picloud.wire.error import BadRequest, CloudException


@command("status")
@click.argument("jids", type=JIDS, required=False)
@click.option("--login", is_flag=True, help="Also make a link to log in with a browser; it works once.")
def status(jids: int | list[int | range] | None, login: bool) -> None:
    """Tell of the server, or of jobs.

    JIDS: 5, or 1,2,7, or 1-4.
    """
    if jids is None and not given().simulate:
        _server(login)
    else:
        asked: list[int | range] = [] if jids is None else [jids] if isinstance(jids, int) else jids
        found = client().status(asked)  # before the jids are told one by one: an unknown one may be among very many
        table(["jid", "status"], [{"jid": jid, "status": said} for jid, said in zip(each(asked), found, strict=True)])


@command("login-link")
@click.argument("page", default="/")
def login_link(page: str) -> None:
    """Print a link that logs a browser in; it works once, for 15 minutes.

    PAGE: where it leads, as /queues or /jobs/7.
    """
    if not page.startswith("/"):
        raise BadRequest(f"{page[:200]!r} is no page", hint="one begins with a slash: /jobs")
    url = login_url(configured(), page)
    answer({"login_url": url}, url)


def _server(login: bool) -> None:
    found = _ask()
    if login:
        found["login_url"] = login_url(configured())
    jobs, capacity = found.get("jobs", {}), found.get("capacity", {})
    workers = found.get("workers", [])
    lines = [
        str(found["address"]),
        f"version {found['version']}, pid {found['pid']}",
        f"capacity: {capacity.get('cores', '-')} cores, {capacity.get('units', 0) / 1000:g} compute units, "
        f"{capacity.get('memory', 0) / 2**30:.1f} GiB",
        *([f"core types: {', '.join(found['core_types'])} (default {found['default_type']})"] if "core_types" in found else []),
        f"jobs: {jobs.get('queued', '-')} queued, {jobs.get('processing', '-')} processing",
        *(["jobs are held since this server was restored: picloud resume lets them run"] if found.get("held") else []),
        *([f"money: {summary(found['money'])}"] if "money" in found else []),
        f"workers: {len(workers) or 'none'}",
        *(f"  {w['core_type']} x {w['cores']}: {w['busy']} of {w['slots']} slots busy (pid {w['pid']}{_on(w)})" for w in workers),
        *(f"reserved: {r['cores']} x {r['type']} of {r['account']}, {r['state']}" for r in found.get("reserved", [])),
    ]
    lines += [f"WARNING: {said}: see picloud du" for said in found.get("warnings", [])]
    lines += _sandbox(found.get("sandbox"))
    if login:
        lines.append(f"Log in (this link works once): {found['login_url']}")
    answer(found, "\n".join(lines))


def _on(worker: dict[str, Any]) -> str:
    return ", on reserved cores" if worker.get("reserved") else ""


def _sandbox(found: dict[str, Any] | None) -> list[str]:
    """The rung of isolation, and what is missing."""
    if not found:
        return []
    missing = [feature for feature in found["features"] if not feature["ok"]]
    lines = [f"sandboxes: rung {found['rung']}" + ("" if missing else ", complete")]
    for feature in missing:
        lines.append(f"  {feature['name']}: {feature['text']}")
        if feature["remedy"]:
            lines.append(f"    -> {feature['remedy']}")
    return lines


def login_url(server: Server, page: str = "/") -> str:
    """A fresh link for the account of the configured key, to a page of the dashboard."""
    ticket = call(server, "POST", "/v1/login/ticket")["ticket"]
    return f"{server.url}/{'' if page == '/' else '?' + urlencode({'next': page})}#{ticket}"


def _ask() -> dict[str, Any]:
    """What the configured server says; for a user without a key, what the home of this machine says."""
    file = homes.running(settings.home())
    try:
        server = configured()
        found: dict[str, Any] = call(server, "GET", "/v1/status")
        return found | {"address": server.url}  # as it is reached from here
    except CloudException:
        if file is None:
            raise
        named: dict[str, Any] = {"workers": [], "capacity": {}, "jobs": {}}
        return {name: value for name, value in msgspec.to_builtins(file).items() if name != "login_url"} | named
