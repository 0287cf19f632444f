"""Environments: file systems that jobs see, made by you.

    cloud.environment.create("sci", "base/host")        # a machine to be changed, the setup server
    cloud.environment.ssh("sci", "pip install cowsay")
    cloud.environment.save_shutdown("sci")
    cloud.call(moo, _env="sci")

Only what is saved is seen by jobs. Jobs that run keep the version with which they were submitted.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterable, Sequence
from typing import Any
from urllib.parse import urlencode

from cloud import _session, _setup
from picloud.wire.error import BadRequest, CloudException, SetupError

HOST = "base/host"
_BAD_FOR_EDIT = ("idle", "setup_error")
_BAD_FOR_IDLE = ("setup_error", "save_error")

# -- what there is ------------------------------------------------------------------------------------------------------


def list_envs(name: str | Sequence[str] | None = None, public: bool = False) -> list[dict[str, Any]]:
    """Your environments.

    Args:
        name: only this one, or these.
        public: instead, all that are public on this server, by ``/owner/name``.

    Returns:
        Dicts: name, status (new, ready, error), action (idle, setup, edit, save, setup_error, save_error), created,
        last_modified (datetimes), hostname (of the setup server, or None), setup_time (seconds since it was asked for, or
        None), and base, description, public, trouble.

    Raises:
        NotFound: one that is named is not there.
    """
    if public:
        found = _setup.ask("GET", "?public=1")["environments"]
        return [{**_setup.shown(one), "name": one["path"]} for one in found]
    if name is None:
        return [_setup.shown(one) for one in _setup.ask("GET")["environments"]]
    names = [name] if isinstance(name, str) else list(name)
    return [_setup.shown(_setup.ask("GET", "?" + urlencode({"name": one}))["environments"][0]) for one in names]


def list_bases() -> list[dict[str, Any]]:
    """The bases that an environment may begin with: dicts with id, name, distro, python_version, default."""
    found: list[dict[str, Any]] = _setup.ask("GET", "/base")["bases"]
    return found


def versions(name: str) -> list[dict[str, Any]]:
    """The saved versions of an environment, the newest first: number, current, created, base, python_version, size (bytes
    of its own layer), digest, note."""
    found = _setup.ask("GET", "/version?" + urlencode({"name": _setup.text("name", name)}))["versions"]
    return [{**one, "created": _setup.moment(one["created"])} for one in found]


def packages(name: str) -> list[dict[str, str]]:
    """What is installed in an environment, or in a base (``base/science``): dicts with kind, name, version.

    Raises:
        NotFound: there is no such environment or base.
        BadRequest: it was never saved.
    """
    found: list[dict[str, str]] = _setup.ask("GET", "/package?" + urlencode({"name": _setup.text("name", name)}))["packages"]
    return found


def recipe(name: str) -> str:
    """The recipe of an environment that was built: exact versions and hashes; :func:`build` makes the same of it."""
    return str(_setup.ask("GET", "/package?" + urlencode({"name": _setup.text("name", name)}))["recipe"])


# -- changing -----------------------------------------------------------------------------------------------------------


def create(name: str, base: str = HOST, desc: str | None = None) -> str | None:
    """Make an environment, and wait for the machine in which it can be changed: the setup server.

    Args:
        name: 1 to 30 letters, digits, ``_`` or ``-``.
        base: what it begins with; see :func:`list_bases`.
        desc: at most 2000 characters.

    Returns:
        The host name of the setup server for ssh, ``jid@host:port``.

    Raises:
        BadRequest: name or description are not allowed.
        NotFound: no such base.
        Conflict: there is an environment of that name.
        CloudException: the setup server could not be started.
    """
    body = {
        "name": _setup.text("name", name),
        "base": _setup.base(base),
        "description": desc,
        "interpreter": _setup.interpreter(),
    }
    _setup.ask("POST", "", body | _setup.token())
    return _reached(wait_for_edit(name))


def modify(name: str) -> str | None:
    """Start a setup server on the last saved state; returns its host name.

    Raises:
        NotFound: no such environment.
        Conflict: it is being edited already.
        CloudException: the setup server could not be started.
    """
    _setup.ask("POST", "/modify", {"name": _setup.text("name", name)} | _setup.token())
    return _reached(wait_for_edit(name))


def save(name: str) -> None:
    """Make a version of what was changed, and wait for it; the setup server goes on. New jobs use it at once.

    Raises:
        Conflict: it is not being edited, or its setup server is gone.
        CloudException: it could not be saved; the environment stays as it was, and can be saved again.
    """
    _save(name, leave=False)


def save_shutdown(name: str) -> None:
    """The same, and then the setup server ends."""
    _save(name, leave=True)


def _save(name: str, leave: bool) -> None:
    _setup.ask("POST", "/save", {"name": _setup.text("name", name), "leave": leave} | _setup.token())
    found = _setup.wait(name, lambda one: one["action"] != "save", ())
    if found["action"] in ("save_error", "setup_error"):
        raise CloudException(f"environment {name!r} was not saved: {found['trouble']}", action=found["action"],
                             hint="it is as it was; save it again" if found["setup_jid"] else
                             f"picloud env modify {name} starts a new setup server")  # fmt: skip


def shutdown(name: str) -> None:
    """End the setup server without saving.

    Raises:
        NotFound: no such environment.
        Conflict: it is not being edited, or is being saved.
    """
    _setup.ask("POST", "/shutdown", {"name": _setup.text("name", name)})


def clone(parent_name: str, new_name: str | None = None, new_desc: str | None = None) -> None:
    """Copy an environment as it was saved last.

    Args:
        parent_name: one of yours, or ``/owner/name`` of a public one.
        new_name: None = the parent's with ``_clone``.
        new_desc: None = the parent's.

    Raises:
        NotFound: no such environment.
        Conflict: the name is taken, or the parent was never saved.
    """
    body = {"name": _setup.text("parent_name", parent_name), "new_name": new_name, "description": new_desc}
    _setup.ask("POST", "/clone", body | _setup.token())


def edit_info(name: str, new_name: str | None = None, new_desc: str | None = None) -> None:
    """Give an environment another name or description.

    Raises:
        NotFound: no such environment.
        Conflict: the new name is taken.
        BadRequest: name or description are not allowed.
    """
    _setup.ask("POST", "/edit", {"name": _setup.text("name", name), "new_name": new_name, "description": new_desc})


def set_public(name: str, public: bool) -> None:
    """Let every account of this server list, use and clone it as ``/owner/name``, or none any more.

    Raises:
        NotFound: no such environment.
    """
    _setup.ask("POST", "/publish", {"name": _setup.text("name", name), "public": bool(public)})


def delete(name: str) -> None:
    """Delete an environment. Jobs that were submitted keep it.

    Raises:
        NotFound: no such environment.
        Conflict: it is being edited.
    """
    _setup.ask("POST", "/delete", {"name": _setup.text("name", name)})


def _reached(one: dict[str, Any]) -> str | None:
    found: str | None = one["hostname"]
    return found


# -- into the setup server ------------------------------------------------------------------------------------------------


def get_setup_hostname(name: str) -> str:
    """The host name of the setup server, ``jid@host:port``.

    Raises:
        NotFound: no such environment.
        BadRequest: it is not being edited.
    """
    found = _setup.ask("GET", "?" + urlencode({"name": _setup.text("name", name)}))["environments"][0]
    if not found["hostname"]:
        raise BadRequest(f"environment {name!r} is not being edited", hint=f"picloud env modify {name}", action=found["action"])
    return str(found["hostname"])


def get_key_path() -> str:
    """The file with the private key of this account, for ssh.

    Raises:
        SetupError: there is none on this machine.
    """
    key = _session.session().key
    path = os.path.join(_session.getconfigpath(), "credentials", key, "id_rsa")
    if not os.path.isfile(path):
        raise SetupError(f"there is no key for ssh in {path}", hint="run `picloud setup` on this machine")
    return path


def ssh(name: str, cmd: str | None = None) -> str | None:
    """Log in to the setup server as user ``picloud``, or run a command there.

    Args:
        name: an environment that is being edited.
        cmd: a command for its shell; None = an interactive session on this terminal.

    Returns:
        What the command printed; None for a session.

    Raises:
        CloudException: the command ended with an exit code other than 0 (``facts``: exit_code, output).
    """
    where, port = _setup.address(get_setup_hostname(name))
    argv = ["ssh", *_setup.ssh_options(get_key_path(), port), where]
    if cmd is None:
        subprocess.run(argv, check=False)
        return None
    done = subprocess.run([*argv, "--", cmd], capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        raise _setup.failed(f"the command ended with exit code {done.returncode}", done.stdout + done.stderr, done.returncode)
    return done.stdout


def rsync(
    src_path: str | Sequence[str], dest_path: str, delete: bool = False, pipe_output: bool = False
) -> tuple[str, str] | None:
    """Copy files to or from a setup server.

    Args:
        src_path: a path, or several; on one side paths begin with ``env:``, the name of an environment and a colon.
        dest_path: where to. In the environment you may write to home and ``/tmp``.
        delete: remove what the source does not have.
        pipe_output: return what rsync prints, instead of showing it.

    Returns:
        Standard output and error with ``pipe_output``.

    Raises:
        BadRequest: none of the paths names an environment, or both sides do.
        CloudException: rsync failed.
    """
    return _setup.copy([src_path] if isinstance(src_path, str) else list(src_path), dest_path, delete, pipe_output)


def run_script(name: str, filename: str) -> str:
    """Run a script of this machine in the setup server, as user ``picloud``.

    Args:
        name: an environment that is being edited.
        filename: the script: it begins with ``#!``, or is for bash.

    Returns:
        What it printed, both streams.

    Raises:
        ValueError: the file cannot be read.
        Conflict: the environment is not being edited.
        CloudException: it ended with an exit code other than 0 (``facts``: exit_code, output).
    """
    try:
        with open(filename, "rb") as file:
            script = file.read()
    except OSError as error:
        raise ValueError(f"the script {filename!r} cannot be read: {error.strerror}") from error
    return _setup.run(name, script, os.path.basename(filename), root=False, tell=None)


# -- waiting --------------------------------------------------------------------------------------------------------------


def wait_for_idle(name: str, invalid_actions: Iterable[str] | None = None) -> dict[str, Any]:
    """Wait until nothing happens to an environment, at most 30 minutes; the dict of :func:`list_envs`.

    Args:
        invalid_actions: actions that end the wait with an error; None = setup_error and save_error.

    Raises:
        CloudException: such an action came.
        CloudTimeoutError: the time has passed.
    """
    bad = _BAD_FOR_IDLE if invalid_actions is None else tuple(invalid_actions)
    return _setup.shown(_setup.wait(name, lambda one: one["action"] == "idle", bad))


def wait_for_edit(name: str, invalid_actions: Iterable[str] | None = None) -> dict[str, Any]:
    """Wait until an environment can be changed, at most 30 minutes; the dict of :func:`list_envs`.

    Args:
        invalid_actions: actions that end the wait with an error; None = idle and setup_error.

    Raises:
        CloudException: such an action came.
        CloudTimeoutError: the time has passed.
    """
    bad = _BAD_FOR_EDIT if invalid_actions is None else tuple(invalid_actions)
    return _setup.shown(_setup.wait(name, lambda one: one["action"] == "edit", bad))


# -- building -------------------------------------------------------------------------------------------------------------


def build(
    name: str,
    base: str | None = None,
    requirements: str | Iterable[str] | None = None,
    from_current: bool = False,
    apt: Iterable[str] = (),
    run: Iterable[str] = (),
    lock: str | None = None,
    progress: Callable[[str], object] | None = None,
) -> dict[str, Any]:
    """Build an environment without a hand on it, and save it: Debian packages, then Python packages, then commands.

    What came of it is recorded with exact versions and hashes (:func:`recipe`); the same recipe on the same base gives
    the same environment, with the same digest. An environment that is there already gets a new version.

    Args:
        name: of the environment, new or not.
        base: what it begins with; None = as before, or base/host.
        requirements: the text of a requirements file, or its lines.
        from_current: the Python packages that are installed here.
        apt: Debian packages, with ``=version`` where it matters.
        run: commands for bash, as root.
        lock: a recipe, instead of the four before; with nothing at all, an environment's own recipe is used again.
        progress: called with the output, piece by piece.

    Returns:
        The version made, as :func:`versions` tells it.

    Raises:
        ValueError: there is nothing to build, or the recipe cannot be read.
        CloudException: a step failed; nothing is saved, and a new environment is removed again.
    """
    from cloud import _building
    from picloud.wire.recipe import parsed

    plan = _building.plan(requirements, from_current, apt, run)
    if lock is not None and plan is not None:
        raise ValueError("a recipe (lock) says everything: give nothing besides it")
    return _building.build(name, base, plan if lock is None else parsed(lock), progress)


def add_base(name: str, source: str, what: str = "", progress: Callable[[str], object] | None = None) -> None:
    """Make a base for everybody of the server; its owner only. Takes minutes.

    Args:
        name: of the base; ``base/`` may be left out.
        source: "debian", "image" or "science".
        what: the Debian release; or the path of an OCI image on the server's machine, perhaps with ``#tag``.
        progress: called with what is being done, piece by piece.

    Raises:
        Forbidden: you are not the owner.
        BadRequest: no such source, or no name for a base.
        CloudException: it could not be made.
    """
    mark = _setup.token()
    _setup.ask("POST", "/base", {"name": _setup.text("name", name), "source": source, "what": what} | mark)
    _setup.follow(mark, f"making {_setup.base(name)}", progress)
