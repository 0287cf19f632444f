"""``picloud bucket``: objects by key, on the server's disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from picloud.cli import output
from picloud.cli.client import client
from picloud.cli.flags import GlobalFlags, Group
from picloud.cli.mount import mount, unmount

KEY = click.argument("key")
FILE = click.argument("file", required=False, type=click.Path())
SOURCE = click.argument("file", type=click.Path(exists=True, dir_okay=False))
PREFIX = click.option("-p", "--prefix", metavar="FOLDER", help="Folder before the key.")
START = click.option("--start-byte", type=click.IntRange(min=0), default=0, metavar="N", help="First byte.")
END = click.option("--end-byte", type=click.IntRange(min=0), metavar="N", help="Byte after the last.  [default: the end]")
FOLDERIZE = click.option("-f", "--folderize", is_flag=True, help="Show what lies deeper as its folder, which ends in /.")


@click.group("bucket", cls=Group)
def bucket() -> None:
    """The bucket: objects by key, one store per account.

    KEY is text with / between its parts. What lies below a part is in that folder. In jobs the same commands reach the bucket
    of the account whose job it is.
    """


bucket.add_command(mount)
bucket.add_command(unmount)


def _bucket() -> Any:
    return client().bucket


@contextmanager
def _local() -> Iterator[None]:
    """A file of this machine that cannot be read or written, or numbers that do not fit, are no fault of ours."""
    try:
        yield
    except (OSError, ValueError) as error:
        raise click.ClickException(str(error)) from error


# -- moving bytes -------------------------------------------------------------------------------------------------------


@bucket.command("put", cls=GlobalFlags)
@SOURCE
@click.argument("key", required=False)
@PREFIX
@click.option("--if-match", metavar="ETAG", help="Replace only this version; '' = there must be none yet.")
def put(file: str, key: str | None, prefix: str | None, if_match: str | None) -> None:
    """Store a file as an object.  [default: its base name]"""
    with _local():
        etag = _bucket().put(file, key, prefix, if_match=if_match)
    output.answer({"etag": etag})


@bucket.command("get", cls=GlobalFlags)
@KEY
@FILE
@PREFIX
@START
@END
def get(key: str, file: str | None, prefix: str | None, start_byte: int, end_byte: int | None) -> None:
    """Bring an object into FILE, or into a folder.  [default: .]"""
    with _local():
        _bucket().get(key, file, prefix, start_byte, end_byte)
    output.answer({"got": key})


@bucket.command("mpsafe-get", cls=GlobalFlags)
@KEY
@FILE
@PREFIX
@START
@END
@click.option("-t", "--timeout", type=click.FloatRange(min=0), metavar="SEC", help="Wait at most so long for another process.")
@click.option("-s", "--sync", is_flag=True, help="Get it also if the file is there and has another md5.")
def mpsafe_get(
    key: str, file: str | None, prefix: str | None, start_byte: int, end_byte: int | None, timeout: float | None, sync: bool
) -> None:
    """Get an object once for many processes: one brings it, the others wait and find it."""
    with _local():
        _bucket().mpsafe_get(key, file, prefix, start_byte, end_byte, timeout, sync)
    output.answer({"got": key})


@bucket.command("sync-to-cloud", cls=GlobalFlags)
@SOURCE
@click.argument("key", required=False)
@PREFIX
def sync_to_cloud(file: str, key: str | None, prefix: str | None) -> None:
    """Store a file if the object is not there or has another md5."""
    with _local():
        _bucket().sync_to_cloud(file, key, prefix)
    output.answer({"synced": file})


@bucket.command("sync-from-cloud", cls=GlobalFlags)
@KEY
@FILE
@PREFIX
def sync_from_cloud(key: str, file: str | None, prefix: str | None) -> None:
    """Bring an object into FILE if that is not there or has another md5."""
    with _local():
        _bucket().sync_from_cloud(key, file, prefix)
    output.answer({"synced": key})


# -- what is there ------------------------------------------------------------------------------------------------------


@bucket.command("list", cls=GlobalFlags)
@PREFIX
@FOLDERIZE
@click.option("-m", "--marker", metavar="KEY", help="Only keys behind this one.")
@click.option("-k", "--max-keys", type=int, default=1000, show_default=True, metavar="N", help="At most so many.")
def list_(prefix: str | None, folderize: bool, marker: str | None, max_keys: int) -> None:
    """List keys, or those in a folder."""
    with _local():
        found = _bucket().list(prefix, folderize, marker, max_keys)
    _keys(found)
    if found.truncated:
        click.echo(f"There are more: list --marker {found[-1]!r}, or iterlist", err=True)


@bucket.command("iterlist", cls=GlobalFlags)
@PREFIX
@FOLDERIZE
def iterlist(prefix: str | None, folderize: bool) -> None:
    """List all keys, however many."""
    _keys(_bucket().iterlist(prefix, folderize, 10_000))


def _keys(found: Any) -> None:
    output.table(("filename",), [{"filename": key} for key in found])


@bucket.command("info", cls=GlobalFlags)
@KEY
@PREFIX
def info(key: str, prefix: str | None) -> None:
    """Print what is known of an object."""
    found = _bucket().info(key, prefix)
    output.answer(found, "\n".join(f"{name}: {_shown(value)}" for name, value in found.items()))


def _shown(value: Any) -> Any:
    return value.strftime("%Y-%m-%d %H:%M:%S") if hasattr(value, "strftime") else "-" if value is None else value


def _asking(name: str, word: str, text: str) -> click.Command:
    """A command that prints what a function of the bucket tells of one object."""

    @bucket.command(name, cls=GlobalFlags, help=text)
    @KEY
    @PREFIX
    def asking(key: str, prefix: str | None) -> None:
        found = getattr(_bucket(), name.replace("-", "_"))(key, prefix)
        output.answer({word: found}, str(found))

    return asking


get_md5 = _asking("get-md5", "md5", "Print the md5 of an object.")
exists = _asking("exists", "exists", "Print True if there is such an object, else False.")
is_public = _asking("is-public", "url", "Print the URL of a public object; of another, False.")


@bucket.command("usage", cls=GlobalFlags)
def usage() -> None:
    """Print what the account stores, in its bucket and volumes."""
    found = _bucket().usage()
    output.answer(found, "\n".join(f"{name}: {value}" for name, value in found.items()))


# -- changing -----------------------------------------------------------------------------------------------------------


@bucket.command("remove", cls=GlobalFlags)
@click.argument("keys", metavar="KEY...", nargs=-1, required=True)
@PREFIX
def remove(keys: tuple[str, ...], prefix: str | None) -> None:
    """Remove objects; prints True if one was there."""
    found = _bucket().remove([*keys], prefix)
    output.answer({"removed": found}, str(found))


@bucket.command("remove-prefix", cls=GlobalFlags)
@click.argument("prefix")
def remove_prefix(prefix: str) -> None:
    """Remove a folder with all that lies in it."""
    with _local():
        count = _bucket().remove_prefix(prefix)
    output.answer({"removed": count})


def _moving(name: str, text: str, told: Callable[[Any, str], Any]) -> click.Command:
    """A command that gives an object or a folder another key."""

    @bucket.command(name, cls=GlobalFlags, help=text)
    @KEY
    @click.argument("new")
    @PREFIX
    def moving(key: str, new: str, prefix: str | None) -> None:
        output.answer(told(getattr(_bucket(), name)(key, new, prefix), new))

    return moving


rename = _moving("rename", "Give an object or a folder another key.", lambda _, new: {"renamed": new})
copy = _moving("copy", "Have an object or a folder a second time.", lambda count, _: {"copied": count})


# -- for everybody ------------------------------------------------------------------------------------------------------


@bucket.command("make-public", cls=GlobalFlags)
@KEY
@PREFIX
@click.option("-d", "--header", "headers", multiple=True, metavar="NAME=VALUE", help="Header to serve it with; may be repeated.")
@click.option("-r", "--reset-headers", is_flag=True, help="Forget the headers that it has, but for type and encoding.")
def make_public(key: str, prefix: str | None, headers: tuple[str, ...], reset_headers: bool) -> None:
    """Let everybody get an object; prints its URL."""
    pairs = [text.partition("=") for text in headers]
    if wrong := [name for name, sign, _ in pairs if not sign]:
        raise click.UsageError(f"a header is NAME=VALUE, not {wrong[0]!r}")
    url = _bucket().make_public(key, prefix, {name: value for name, _, value in pairs}, reset_headers)
    output.answer({"url": url}, url)


@bucket.command("make-private", cls=GlobalFlags)
@KEY
@PREFIX
def make_private(key: str, prefix: str | None) -> None:
    """Let nobody else get an object any more."""
    _bucket().make_private(key, prefix)
    output.answer({"private": key})


@bucket.command("public-url-folder", cls=GlobalFlags)
def public_url_folder() -> None:
    """Print the URL below which public objects are."""
    url = _bucket().public_url_folder()
    output.answer({"url": url}, url)
