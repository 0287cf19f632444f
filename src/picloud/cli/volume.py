"""``picloud volume``: folders that jobs mount."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from picloud.cli import output
from picloud.cli.client import client
from picloud.cli.flags import GlobalFlags, Group, as_json

PATHS = click.argument("paths", nargs=-1, required=True, metavar="VOLUME:PATH..")
NAME = click.argument("name")


@click.group("volume", cls=Group)
def volume() -> None:
    """Volumes: folders that jobs mount (-v NAME, or _vol=), kept when the jobs are over.

    A path in a volume is written VOLUME:PATH.
    """


def _volume() -> Any:
    return client().volume


@contextmanager
def _local() -> Iterator[None]:
    """A file of this machine that cannot be read or written is no fault of ours."""
    try:
        yield
    except OSError as error:
        raise click.ClickException(str(error)) from error


@volume.command("list", cls=GlobalFlags)
@click.option("-n", "--name", multiple=True, help="Only this one; may be repeated.")
@click.option("-d", "--desc", is_flag=True, help="With descriptions.")
def list_volumes(name: tuple[str, ...], desc: bool) -> None:
    """List your volumes."""
    found = _volume().get_list(list(name) or None, desc)
    output.table(["name", "mnt_path", "created", "objects", "bytes"] + ["desc"] * desc, found)


@volume.command("create", cls=GlobalFlags)
@NAME
@click.argument("mount", metavar="MOUNT")
@click.option("-d", "--desc", help="At most 1024 characters.")
@click.option("--host-path", metavar="DIR", help="Show this folder of the server's machine; for its owner only.")
@click.option("--read-only", is_flag=True, help="Refuse changes of that folder.")
def create(name: str, mount: str, desc: str | None, host_path: str | None, read_only: bool) -> None:
    """Make the volume NAME, which jobs see at MOUNT: an absolute path, or one below /home/picloud."""
    _volume().create(name, mount, desc, host_path=host_path, read_only=read_only)


@volume.command("sync", cls=GlobalFlags)
@click.argument("source", nargs=-1, required=True)
@click.argument("dest")
@click.option("-d", "--delete", is_flag=True, help="Remove in DEST what the folders of SOURCE do not have.")
def sync(source: tuple[str, ...], dest: str, delete: bool) -> None:
    """Make DEST like SOURCE; exactly one side is VOLUME:PATH. FOLDER/ is what is in it, FOLDER the folder itself.

    Only files that differ travel.
    """
    with _local():
        done = _volume().sync(list(source), dest, delete)
    output.answer(done, "{sent} files sent, {bytes} bytes; {removed} removed".format(**done) + _skipped(done["skipped"]))


def _skipped(count: int) -> str:
    return f"; {count} links, devices or the like left out" if count else ""


@volume.command("mkdir", cls=GlobalFlags)
@PATHS
@click.option("-p", "--parents", is_flag=True, help="Make those above too; one that is there is no error.")
def mkdir(paths: tuple[str, ...], parents: bool) -> None:
    """Make folders in a volume."""
    _volume().mkdir(list(paths), parents)


@volume.command("ls", cls=GlobalFlags)
@PATHS
@click.option("-l", "--long", "extended", is_flag=True, help="With sizes and times.")
def ls(paths: tuple[str, ...], extended: bool) -> None:
    """List what is in folders of a volume."""
    found = _volume().ls(list(paths), extended)
    if as_json():
        output.answer([{"path": path, "entries": entries} for path, entries in found])
        return
    for number, (path, entries) in enumerate(found):
        if len(found) > 1:
            click.echo(("\n" if number else "") + f"{path}:")
        if extended:
            click.echo(f"total {len(entries)}")
        for one in entries:
            click.echo(f"{one['size']:>14}  {one['modified']:%Y-%m-%d %H:%M:%S}  {one['name']}" if extended else one["name"])


@volume.command("rm", cls=GlobalFlags)
@PATHS
@click.option("-r", "--recursive", is_flag=True, help="Also folders that are not empty.")
def rm(paths: tuple[str, ...], recursive: bool) -> None:
    """Remove files and folders of a volume."""
    _volume().rm(list(paths), recursive)


@volume.command("delete", cls=GlobalFlags)
@NAME
def delete(name: str) -> None:
    """Delete a volume with all that is in it."""
    _volume().delete(name)
