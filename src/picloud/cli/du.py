"""``picloud du`` and ``picloud gc``: what takes room, and what of it can go."""

from __future__ import annotations

import time
from typing import Any

import click

from picloud.cli.call import Server, call, configured
from picloud.cli.flags import as_json, command, given
from picloud.cli.output import answer, table
from picloud.cli.words import size
from picloud.wire.error import CloudException

PAUSE = 0.2
"""Seconds between two looks at a sweep."""
DISKS = "disks"
PARTS = (
    ("payloads", "payload_bytes", "finished jobs lose arguments, results and logs (keep_payloads)"),
    ("jobs", "", "finished jobs are forgotten (keep_jobs)"),
    ("code", "code_bytes", "functions and modules that no job needs"),
    ("blobs", "blob_bytes", "large values that nothing names go for good"),
    ("layers", "layer_bytes", "unpacked layers of environments that are no more"),
    ("condemned", "condemned_bytes", "large values that nothing names begin their wait (keep_unused)"),
)
"""Of a plan: the number, the bytes, and what it is."""


@command("du")
@click.option("--account", help="Only of this account.")
def du(account: str | None) -> None:
    """Tell what takes room: of each account by kind, and of the whole installation (its owner only)."""
    found = call(configured(), "GET", "/v1/operator/space")
    rows = [one for one in found["accounts"] if account in (None, one["account"])]
    if as_json():
        answer(found | {"accounts": rows})
        return
    table(["account", "kind", "count", "size"], [{**one, "size": size(one["bytes"])} for one in rows])
    if account is None:
        if given().output != "no-header":
            click.echo()
        sizes = [{**one, "size": ("" if one["whole"] else "> ") + size(one["bytes"])} for one in found["places"]]
        table(["what", "place", "size"], sizes)
        for one in found[DISKS]:
            click.echo(f"{one['full']:.0%} of the disk of {one['folder']} is in use, {size(one['free'])} are free.")


@command("gc")
@click.option("--dry-run", is_flag=True, help="Only tell what would go.")
def gc(dry_run: bool) -> None:
    """Remove now what is older than its setting says, and what nothing needs; the server does it by itself every few hours.

    The database's file stays as large as it is: what was freed in it is used again.
    """
    server = configured()
    found = call(server, "GET" if dry_run else "POST", "/v1/operator/sweep")["plan"]
    if not dry_run:
        _await(server)
    freed = sum(found[size_of] for _, size_of, _ in PARTS if size_of and size_of != "condemned_bytes")
    lines = [f"{found[count]:>8} {_size(found, size_of):>10}  {text}" for count, size_of, text in PARTS if found[count]]
    if found["large_bytes"]:
        lines.append(f"{'':>8} {size(found['large_bytes']):>10}  of these jobs in large values begin their wait")
    lines.append(f"{'Would free' if dry_run else 'Freed'} {size(freed)}." if lines else "Nothing to remove.")
    answer({**found, "bytes": freed, "dry_run": dry_run}, "\n".join(lines))


def _size(found: dict[str, Any], name: str) -> str:
    return size(found[name]) if name else ""


def _await(server: Server) -> None:
    """Wait for the end of the sweep.

    Raises:
        CloudException: what kept it from its end.
    """
    while (said := call(server, "GET", "/v1/operator/sweep"))["running"]:
        time.sleep(PAUSE)
    if said["trouble"]:
        raise CloudException(f"the sweep ended early: {said['trouble']}", hint="see server.log in PICLOUD_HOME")
