"""``picloud backup``, ``restore``, ``resume``: the whole installation on another disk, and back."""

from __future__ import annotations

import time
from pathlib import Path

import click
import msgspec

from picloud import settings as options
from picloud.cli import packages
from picloud.cli.call import call, configured
from picloud.cli.flags import command
from picloud.cli.output import answer
from picloud.cli.words import size

FOLDER = click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))


@command("backup")
@FOLDER
@click.option("--keep", type=click.IntRange(1), default=3, show_default=True, help="Backups that stay in DIR, this one included.")
def backup(folder: Path, keep: int) -> None:
    """Copy the whole installation to DIR while it serves.

    Run it on the server's machine as the server's user. The second backup to the same DIR copies only what is new.
    """
    packages.check()
    from picloud.server import backup as backups

    made = backups.make(options.load(), folder.expanduser().absolute(), keep)
    lines = [
        f"{folder / made.name}",
        f"{made.blobs} large values ({made.added} new), {size(made.bytes)} in all, {size(made.copied)} written, "
        f"{made.seconds:.1f} s",
    ]
    lines += [f"Removed {name}, an older one." for name in made.removed]
    if made.missing:
        lines.append(f"WARNING: the bytes of {len(made.missing)} large values are lost: {', '.join(made.missing[:5])}")
    answer(msgspec.to_builtins(made), "\n".join(lines))


@command("restore")
@FOLDER
@click.option("--from", "name", default="", metavar="NAME", help="An older backup in DIR, by its name.")
@click.option("--without-damaged", is_flag=True, help="Leave out larger values that are damaged, and name them.")
def restore(folder: Path, name: str, without_damaged: bool) -> None:
    """Make an installation of a backup, in an empty PICLOUD_HOME.

    New jobs get ids that were never given before. Nothing runs until `picloud resume`.
    """
    packages.check()
    from picloud.server import restore as backups

    made = backups.take(folder.expanduser().absolute(), options.home(), name, options.load, without_damaged)
    when = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(made.time / 1000))
    lines = [
        made.home,
        f"As of {when}: {made.blobs} large values, {size(made.bytes)} in all; database {made.database}",
        f"{made.revoked} jobs were in workers' hands and are queued again; new ids begin after {made.after}.",
        "Jobs are held: picloud up, look whether all is as it should be, then picloud resume.",
    ]
    if made.once:
        lines.append(f"{made.once} queued jobs must never run twice, and may have run since: look at them before you resume.")
    if made.sealed:
        lines.append(f"{made.sealed} secrets need the old home's secrets.key, which is in no backup; else set them anew.")
    if made.missing:
        lines.append(f"WARNING: the bytes of {len(made.missing)} large values are lost: {', '.join(made.missing[:5])}")
    answer(msgspec.to_builtins(made), "\n".join(lines))


@command("resume")
def resume() -> None:
    """Let jobs run again, which a restored server holds."""
    found = call(configured(), "POST", "/v1/operator/resume")
    answer(found, "Jobs run." if found["held"] else "Jobs were not held.")
