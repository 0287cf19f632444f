"""``picloud env``: environments, their setup servers, their versions."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from picloud.cli import output
from picloud.cli.client import client
from picloud.cli.flags import GlobalFlags, Group, as_json, given

_PROGRAM = {"allow_interspersed_args": False}
NAME = click.argument("name")


@click.group("env", cls=Group)
def env() -> None:
    """Environments: file systems for jobs (-e NAME).

    A setup server is a machine with the environment in it: change it by ssh, rsync or scripts, then save. Only what is saved
    is seen by jobs.
    """


def _environment() -> Any:
    return client().environment


@env.command("list", cls=GlobalFlags)
@click.option("-n", "--name", "names", multiple=True, metavar="NAME", help="Only this one; may be repeated.")
@click.option("-p", "--public", is_flag=True, help="Public ones of all accounts instead, as /owner/name.")
def list_(names: tuple[str, ...], public: bool) -> None:
    """List environments."""
    found = _environment().list_envs(list(names) or None, public)
    output.table(("name", "status", "action", "created", "last_modified"), [_row(one) for one in found])


@env.command("list-bases", cls=GlobalFlags)
def list_bases() -> None:
    """List what environments may begin with."""
    output.table(("name", "distro", "python_version"), _environment().list_bases())


@env.command("versions", cls=GlobalFlags)
@NAME
def versions(name: str) -> None:
    """List the saved versions of an environment, the newest first."""
    columns = ("number", "current", "created", "python_version", "size", "digest", "note")
    found = [{**one, "digest": one["digest"] if as_json() else one["digest"][:12]} for one in _environment().versions(name)]
    output.table(columns, [_row(one) for one in found])


@env.command("packages", cls=GlobalFlags)
@NAME
@click.option("--lock", is_flag=True, help="The recipe of a build instead: exact versions and hashes.")
def packages(name: str, lock: bool) -> None:
    """List all that is installed in an environment or a base, with versions."""
    if lock:
        recipe = _environment().recipe(name)
        output.answer({"recipe": recipe}, recipe.rstrip("\n"))
    else:
        output.table(("kind", "name", "version"), _environment().packages(name))


@env.command("create", cls=GlobalFlags)
@NAME
@click.argument("base", default="base/host")
@click.option("-d", "--desc", metavar="TEXT", help="Description.")
def create(name: str, base: str, desc: str | None) -> None:
    """Make an environment and start its setup server; prints its host name."""
    hostname = _environment().create(name, base, desc)
    output.answer({"name": name, "hostname": hostname}, hostname)


@env.command("modify", cls=GlobalFlags)
@NAME
def modify(name: str) -> None:
    """Start a setup server on what was saved last; prints its host name."""
    hostname = _environment().modify(name)
    output.answer({"name": name, "hostname": hostname}, hostname)


@env.command("save", cls=GlobalFlags)
@NAME
def save(name: str) -> None:
    """Save an environment; its setup server goes on."""
    _environment().save(name)
    output.answer({"saved": name})


@env.command("save-shutdown", cls=GlobalFlags)
@NAME
def save_shutdown(name: str) -> None:
    """Save an environment and end its setup server."""
    _environment().save_shutdown(name)
    output.answer({"saved": name})


@env.command("shutdown", cls=GlobalFlags)
@NAME
def shutdown(name: str) -> None:
    """End the setup server; what was not saved is lost."""
    _environment().shutdown(name)
    output.answer({"shutdown": name})


@env.command("clone", cls=GlobalFlags)
@click.argument("parent")
@click.argument("new", required=False)
@click.option("-d", "--desc", metavar="TEXT", help="Description; the parent's by default.")
def clone(parent: str, new: str | None, desc: str | None) -> None:
    """Copy an environment, or a public one (/owner/name).  [default: PARENT_clone]"""
    _environment().clone(parent, new, desc)
    output.answer({"cloned": parent})


@env.command("edit-info", cls=GlobalFlags)
@NAME
@click.option("-n", "--name", "new_name", metavar="NAME", help="New name.")
@click.option("-d", "--desc", metavar="TEXT", help="New description.")
def edit_info(name: str, new_name: str | None, desc: str | None) -> None:
    """Give an environment another name or description."""
    if new_name is None and desc is None:
        raise click.UsageError("nothing to change: give -n or -d")
    _environment().edit_info(name, new_name, desc)
    output.answer({"name": new_name or name})


@env.command("delete", cls=GlobalFlags)
@NAME
def delete(name: str) -> None:
    """Delete an environment; jobs that were submitted keep it."""
    _environment().delete(name)
    output.answer({"deleted": name})


@env.command("publish", cls=GlobalFlags)
@NAME
def publish(name: str) -> None:
    """Let every account of the server use and clone it as /owner/name."""
    _environment().set_public(name, True)
    output.answer({"name": name, "public": True})


@env.command("unpublish", cls=GlobalFlags)
@NAME
def unpublish(name: str) -> None:
    """Keep an environment to yourself again."""
    _environment().set_public(name, False)
    output.answer({"name": name, "public": False})


@env.command("get-hostname", cls=GlobalFlags)
@NAME
def get_hostname(name: str) -> None:
    """Print the host name of a setup server, without a newline."""
    _value("hostname", _environment().get_setup_hostname(name))


@env.command("get-keypath", cls=GlobalFlags)
def get_keypath() -> None:
    """Print the file with your private key for ssh, without a newline."""
    _value("keypath", _environment().get_key_path())


@env.command("ssh", cls=GlobalFlags, context_settings=_PROGRAM)
@NAME
@click.argument("words", metavar="[COMMAND...]", nargs=-1, type=click.UNPROCESSED)
def ssh(name: str, words: tuple[str, ...]) -> None:
    """Log in to a setup server, or run a command there."""
    from picloud.cli.words import line

    printed = _environment().ssh(name, line(words) if words else None)
    if printed is not None:
        output.answer({"output": printed}, printed.rstrip("\n") or None)


@env.command("rsync", cls=GlobalFlags)
@click.argument("paths", metavar="SRC... DEST", nargs=-1, required=True)
@click.option("-d", "--delete", "remove", is_flag=True, help="Remove what the source does not have.")
def rsync(paths: tuple[str, ...], remove: bool) -> None:
    """Copy files to or from a setup server: one side is NAME:PATH."""
    if len(paths) < 2:
        raise click.UsageError("give a source and a destination, one of them NAME:PATH")
    _environment().rsync(list(paths[:-1]), paths[-1], delete=remove)
    output.answer({"copied": list(paths[:-1])})


@env.command("run-script", cls=GlobalFlags)
@NAME
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
def run_script(name: str, file: str) -> None:
    """Run a script of this machine in a setup server; prints its output."""
    printed = _environment().run_script(name, file)
    output.answer({"output": printed}, printed.rstrip("\n") or None)


@env.command("build", cls=GlobalFlags)
@NAME
@click.option("-b", "--base", metavar="BASE", help="What it begins with.  [default: as before, or base/host]")
@click.option("-r", "--requirements", type=click.Path(exists=True, dir_okay=False), metavar="FILE", help="Python packages.")
@click.option("--from-current", is_flag=True, help="The Python packages that are installed here.")
@click.option("--apt", multiple=True, metavar="PKG", help="Debian package; may be repeated, or several with blanks.")
@click.option("--run", multiple=True, metavar="CMD", help="Command for bash, as root; may be repeated.")
@click.option("--lock", type=click.Path(exists=True, dir_okay=False), metavar="FILE", help="A recipe, instead of all these.")
def build(
    name: str,
    base: str | None,
    requirements: str | None,
    from_current: bool,
    apt: tuple[str, ...],
    run: tuple[str, ...],
    lock: str | None,
) -> None:
    """Build and save an environment in one go. Without anything else: again, by its own recipe."""
    try:
        made = _environment().build(
            name, base, _text(requirements), from_current, [word for words in apt for word in words.split()], run, _text(lock),
            None if as_json() else _show,
        )  # fmt: skip
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    said = f"{name} version {made['number']}, {made['size'] / 1e6:.1f} MB, digest {made['digest'][:12]}"
    output.answer(_row(made) | {"name": name}, said)


@env.command("add-base", cls=GlobalFlags)
@NAME
@click.option("--debian", metavar="RELEASE", help="A Debian release.  [default: NAME]")
@click.option("--image", type=click.Path(exists=True), metavar="PATH", help="An OCI image layout, or an archive of one.")
@click.option("--tag", default="", metavar="TAG", help="Which image, where PATH holds several.")
def add_base(name: str, debian: str | None, image: str | None, tag: str) -> None:
    """Make the base base/NAME for everybody (the server's owner only).

    Without a flag NAME is a Debian release (bookworm), or science: NumPy, SciPy, pandas, scikit-learn, OpenCV, matplotlib,
    Java, R, Ruby, PHP.
    """
    if debian is not None and image is not None:
        raise click.UsageError("--debian and --image contradict each other")
    source = "image" if image else "science" if debian is None and name.removeprefix("base/") == "science" else "debian"
    what = f"{Path(image).absolute()}{'#' if tag else ''}{tag}" if image else debian or name.removeprefix("base/")
    _environment().add_base(name, source, what, None if as_json() else _show)
    output.answer({"base": name})


def _show(text: str) -> None:
    if given().output == "default":
        sys.stderr.write(text)
        sys.stderr.flush()


def _text(path: str | None) -> str | None:
    try:
        return None if path is None else Path(path).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"cannot read {path}: {error}") from error


def _value(name: str, value: str) -> None:
    if as_json():
        output.answer({name: value})
    else:
        click.echo(value, nl=False)


def _row(one: dict[str, Any]) -> dict[str, Any]:
    """Times as text."""
    return {name: value.strftime("%Y-%m-%d %H:%M:%S") if hasattr(value, "strftime") and not as_json() else value
            for name, value in one.items()}  # fmt: skip
