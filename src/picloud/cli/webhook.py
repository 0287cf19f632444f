"""``picloud webhook``: who is told when jobs end."""

from __future__ import annotations

from typing import Any

import click

from picloud.cli import output
from picloud.cli.client import client
from picloud.cli.flags import GlobalFlags, Group
from picloud.cli.program import checked

ONCE = "The secret that signs its messages, shown this once:"


@click.group("webhook", cls=Group)
def webhook() -> None:
    """Webhooks: a signed POST to an address of yours when a job has ended."""


def _webhooks() -> Any:
    return client().webhook


@webhook.command("set", cls=GlobalFlags)
@click.argument("label")
@click.argument("url")
def set_webhook(label: str, url: str) -> None:
    """Have the end of each job with LABEL told to URL, of those that are submitted from now on; prints the signing secret."""
    made = checked(lambda: _webhooks().set(label, url))
    click.echo(ONCE, err=True)
    output.answer({"label": label, "url": url, "secret": made}, made)


@webhook.command("secret", cls=GlobalFlags)
def secret() -> None:
    """Make and print the secret that signs for --webhook and _webhook=; the former one signs no more."""
    made = _webhooks().secret()
    click.echo(ONCE, err=True)
    output.answer({"secret": made}, made)


@webhook.command("list", cls=GlobalFlags)
def list_webhooks() -> None:
    """List your webhooks; the one without a label signs for --webhook and _webhook=."""
    output.table(("label", "url", "created"), _webhooks().list())


@webhook.command("rm", cls=GlobalFlags)
@click.argument("label")
def remove(label: str) -> None:
    """Forget the webhook of LABEL; what waits to be delivered is given up."""
    _webhooks().remove(label)


@webhook.command("deliveries", cls=GlobalFlags)
@click.option("-n", "--limit", type=click.IntRange(1, 1000), default=20, help="At most so many.  [default: 20]")
def deliveries(limit: int) -> None:
    """List what was told or waits to be told, the newest first."""
    output.table(("jid", "state", "tries", "answer", "due", "url", "trouble"), _webhooks().deliveries(limit))
