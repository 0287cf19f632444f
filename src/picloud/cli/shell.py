"""The commands that lead into running jobs: ssh, exec-shell, ssh-info. People wait for them: each loads only its own."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from picloud.cli.client import client
from picloud.cli.flags import command, timeout_flag
from picloud.cli.words import JID, line

_SETTINGS = {"allow_interspersed_args": False}
"""What follows the jid belongs to the program."""


@command("ssh", context_settings=_SETTINGS)
@timeout_flag
@click.argument("jid", type=JID)
@click.argument("words", metavar="[CMD]...", nargs=-1, type=click.UNPROCESSED)
def ssh(jid: int, words: tuple[str, ...], timeout: float | None) -> None:
    """Enter a running job: a shell, or the output of CMD there; waits until the job runs.

    The exit code is that of CMD. Flags stand before JID.
    """
    cloud = client()
    _enter(cloud, cloud.shortcuts.ssh.get_ssh_info(jid, timeout), words)


@command("ssh-info")
@click.argument("jid", type=JID)
@timeout_flag
def ssh_info(jid: int, timeout: float | None) -> None:
    """Print how any ssh client enters a job; waits until the job runs."""
    from picloud.cli import output

    found = client().shortcuts.ssh.get_ssh_info(jid, timeout)
    output.table(("address", "port", "username", "identity"), [found])


@command("exec-shell")
@click.option("--timeout", type=click.FloatRange(min=0), metavar="SEC", help="Wait at most so long for the job to begin.")
@click.option("-k", "--keep-alive", is_flag=True, help="The job goes on after the last session, until it is killed.")
@click.option("-t", "--type", "core_type", metavar="TYPE", help="Core type: c1 c2 f2 m1 s1.")
@click.option("-e", "--env", metavar="NAME", help="Environment.")
@click.option("-v", "--vol", multiple=True, metavar="NAME", help="Volume; may be repeated.")
@click.option("--secret", "secrets", multiple=True, metavar="NAME", help="Secret, as variables; may be repeated.")
@click.option("-c", "--cores", type=int, metavar="N", help="Cores: 1 2 4 8 16, as the type allows.")
@click.option("-m", "--max-runtime", type=float, metavar="MIN", help="Minutes after which the job is killed.")
def exec_shell(timeout: float | None, keep_alive: bool, **flags: Any) -> None:
    """Start a job to work in by hand, and enter it.

    It ends with its last ssh session, unless --keep-alive.
    """
    cloud = client()
    if cloud.is_simulated():
        raise click.UsageError("simulated jobs run on this machine: you are in them already")
    from cloud._shell import Shell
    from picloud.cli.program import checked, keywords

    given = {**keywords({**flags, "label": "exec-shell", "priority": 1}), "_restartable": False}
    jid = checked(lambda: cloud.call(Shell(keep_alive), **given))
    click.echo(f"Job requested as jid {jid}. SSHing in..", err=True)
    try:
        info = cloud.shortcuts.ssh.get_ssh_info(jid, timeout)
    except BaseException:  # nobody will come any more
        cloud.kill(jid)
        raise
    _enter(cloud, info, ())


def _enter(cloud: Any, info: dict[str, Any], words: tuple[str, ...]) -> None:
    """Become the OpenSSH client."""
    from cloud import _identity

    flags = ["-t"] if not words and sys.stdin.isatty() else []
    argv = [*_identity.command(info, *flags), *([line(words)] if words else [])]
    cloud.close()
    sys.stdout.flush()
    os.execv(argv[0], argv)
