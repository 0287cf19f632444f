"""Programs instead of functions: a command line is a job, its output the result.

    jid = cloud.shell.execute("wc -l < {text}", {"text": "@report.txt"})
    cloud.result(jid)                                   # b'120\\n'

``{word}`` in a command is a parameter; ``${word}``, ``\\{word}`` and braces around anything but an identifier belong to
the shell. An argument that starts with ``@`` names a local file: the file travels with the job, executable, and its name
in the job takes the parameter's place. Other arguments go in as they are, unquoted.

Commands run in an interactive bash, so that the ``~/.bashrc`` of the account they run under applies, without a terminal,
in the job's home, where there is nothing but volumes and the files sent along (in the simulator a fresh folder), or in ``cwd``.
That home is also first on PYTHONPATH and last on PATH.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cloud import _template
from cloud._program import Command, File, Program, name_of
from cloud.job import verbs

LINE_LIMIT = (128 << 10) - 256
"""Bytes of a command line at most: Linux takes 128 KiB as one argument."""
COMMON_LIMIT = 16 << 20
"""Bytes of files shared by a map that travel once, with the function; above it each job carries its own."""


def execute(
    command: str,
    argdict: Mapping[str, Any],
    return_file: str | None = None,
    ignore_exit_status: bool = False,
    cwd: str | None = None,
    **reserved: Any,
) -> int:
    """Run a command line as a job.

    Args:
        command: a template such as ``"grep {word} {file}"``.
        argdict: a value for each parameter: str or number; ``"@path"`` sends that local file.
        return_file: path in the job of the file whose bytes are the result, instead of stdout; relative to ``cwd``.
        ignore_exit_status: give the result whatever the exit code.
        cwd: folder in the job to run in, instead of home.
        reserved: the keywords of ``cloud.call`` (``_label``, ``_type``, ...).

    Returns:
        The jid. The result is bytes; an exit code other than 0 is an error that tells the code and the last of stderr.

    Raises:
        TypeError: a wrong type.
        ValueError: a parameter without an argument, an argument without a parameter, or a file that cannot be read.
    """
    _check_names("execute", {"argdict": argdict}, reserved)
    _template.check(command, argdict)
    texts, files = _bind(argdict, {})
    _check_length(command, argdict)
    made = Command(command, texts, files, return_file, bool(ignore_exit_status), cwd)
    _check(return_file, cwd)
    jid: int = verbs.call(Program(name_of(command)), made, **reserved)
    return jid


def execute_map(
    command: str,
    common_argdict: Mapping[str, Any],
    map_argdict: Mapping[str, Iterable[Any]],
    return_file: str | None = None,
    ignore_exit_status: bool = False,
    cwd: str | None = None,
    **reserved: Any,
) -> Sequence[int]:
    """Run a command line once for each position of the lists in ``map_argdict``.

    Args:
        command: a template, as for :func:`execute`.
        common_argdict: arguments that all jobs share.
        map_argdict: for each further parameter the list of its values, all of one length and not empty.
        return_file, ignore_exit_status, cwd: as for :func:`execute`.
        reserved: the keywords of ``cloud.map``.

    Returns:
        The jids, in order.

    Raises:
        TypeError: a wrong type.
        ValueError: as for :func:`execute`, or lists that are empty or of different lengths.
    """
    _check_names("execute_map", {"common_argdict": common_argdict, "map_argdict": map_argdict}, reserved)
    _template.check(command, [*common_argdict, *map_argdict])
    columns = _columns(common_argdict, map_argdict)
    _check(return_file, cwd)
    texts, files = _bind(common_argdict, {})
    shared = files if sum(len(file.data) for file in files.values()) <= COMMON_LIMIT else {}
    own = {} if shared else files
    taken = {file.name: "" for file in files.values()}
    rows = list(zip(*columns.values(), strict=True))
    for row in rows:  # everything checkable is checked before the first job is sent
        for name, value in zip(columns, row, strict=True):
            _check_value(name, value)
        _check_length(command, {**common_argdict, **dict(zip(columns, row, strict=True))})

    def packed(row: tuple[Any, ...]) -> Command:
        mine, sent = _bind(dict(zip(columns, row, strict=True)), dict(taken))
        return Command(command, texts | mine, own | sent, return_file, bool(ignore_exit_status), cwd)

    jids: Sequence[int] = verbs.map(Program(name_of(command), shared), _Lazy(rows, packed), **reserved)
    return jids


def cron_register(
    command: str,
    label: str,
    schedule: str | Sequence[Any],
    return_file: str | None = None,
    ignore_exit_status: bool = False,
    cwd: str | None = None,
    **keywords: Any,
) -> None:
    """Run a command line at given times. Crons made so are those of ``cloud.cron``.

    Args:
        command: a command line, without parameters.
        label, schedule: as for ``cloud.cron.register``.
        return_file, ignore_exit_status, cwd: as for :func:`execute`.
        keywords: ``timezone``, ``day_or``, ``missed``, ``overlap`` and reserved ones, as for ``cloud.cron.register``.

    Raises:
        ValueError: the command has a parameter; or as for ``cloud.cron.register``.
    """
    from functools import partial

    from cloud import _crons

    clock = {word: keywords.pop(word) for word in _crons.CLOCK if word in keywords}
    _check_names("cron_register", {}, keywords)
    _template.check(command, [])
    _check_length(command, {})
    _check(return_file, cwd)
    program = Program(name_of(command))
    made = partial(program, Command(command, {}, {}, return_file, bool(ignore_exit_status), cwd))
    _crons.register(made, label, schedule, _crons.Plan(**clock, reserved=keywords), shown=program)


def rest_publish(
    command: str,
    label: str,
    return_file: str | None = None,
    ignore_exit_status: bool = False,
    cwd: str | None = None,
    **reserved: Any,
) -> str:
    """Give a command line an address, as ``cloud.rest.publish`` does for functions. Its answer is bytes.

    Args:
        command: a template; its parameters are what is posted: texts, numbers, or files, whose names take their places.
        label, reserved: as for ``cloud.rest.publish``.
        return_file, ignore_exit_status, cwd: as for :func:`execute`.

    Returns:
        The URL to post to.

    Raises:
        ValueError: the command is empty; or as for ``cloud.rest.publish``.
    """
    from cloud import _endpoints
    from cloud._called import Filled
    from picloud.wire.call import Endpoint, Parameter

    _check_names("rest_publish", {}, reserved)
    names = _template.parameters(command) if isinstance(command, str) else []
    _template.check(command, names)
    _check(return_file, cwd)
    program = Program(name_of(command))
    made = Filled(program, Command(command, {}, {}, return_file, bool(ignore_exit_status), cwd))
    endpoint = Endpoint([Parameter(name) for name in names], encoding="raw")
    return _endpoints.publish(made, label, endpoint, reserved, shown=program)


class _Lazy(Sequence[Command]):
    """The commands of a map, each made (and its files read) when it is sent."""

    def __init__(self, rows: list[tuple[Any, ...]], make: Any) -> None:
        self._rows, self._make = rows, make

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, at: Any) -> Any:
        return [*map(self._make, self._rows[at])] if isinstance(at, slice) else self._make(self._rows[at])

    def __iter__(self) -> Any:
        return map(self._make, self._rows)


def _columns(common: Mapping[str, Any], lists: Mapping[str, Iterable[Any]]) -> dict[str, list[Any]]:
    both = sorted(set(common) & set(lists))
    if both:
        raise ValueError(f"arguments given for all jobs and for each: {', '.join(both)}")
    for name, values in lists.items():
        if isinstance(values, str | bytes) or not isinstance(values, Iterable):
            raise TypeError(f"the values of {{{name}}} must be a list, not {type(values).__name__}")
    columns = {name: list(values) for name, values in lists.items()}
    sizes = {name: len(values) for name, values in columns.items()}
    if not sizes or 0 in sizes.values():
        raise ValueError("map_argdict must hold at least one list, and no empty one: each position is a job")
    if len(set(sizes.values())) > 1:
        raise ValueError(f"the lists have different lengths: {', '.join(f'{n} {s}' for n, s in sizes.items())}")
    return columns


def _check_names(verb: str, dicts: dict[str, Any], reserved: dict[str, Any]) -> None:
    for name, value in dicts.items():
        if not isinstance(value, Mapping):
            raise TypeError(f"{name} must be a dict of parameters and values, not {value!r:.60}")
    for name in reserved:
        if name[:1] != "_":
            raise TypeError(f"{verb}() got an unexpected keyword argument {name!r}: values of parameters go in a dict")


def _check_length(command: str, values: Mapping[str, Any]) -> None:
    texts = {name: "" if isinstance(value, str) and value[:1] == "@" else str(value) for name, value in values.items()}
    size = len(_template.fill(command, texts).encode())
    if size > LINE_LIMIT:
        raise ValueError(f"the command line would have {size} bytes, the system takes {LINE_LIMIT}: send a file ('@path')")


def _check(return_file: str | None, cwd: str | None) -> None:
    for name, value in (("return_file", return_file), ("cwd", cwd)):
        if value is not None and not isinstance(value, str):
            raise TypeError(f"{name} must be a str, not {type(value).__name__}")
        if value is not None and (not value or "\0" in value):
            raise ValueError(f"{name} is empty or holds a NUL character")


def _check_value(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, str | int | float | os.PathLike):
        raise TypeError(f"the value of {{{name}}} must be a str or a number, not {value!r:.60} ({type(value).__name__})")
    if isinstance(value, str) and "\0" in value:
        raise ValueError(f"the value of {{{name}}} holds a NUL character")
    if isinstance(value, str) and value[:1] == "@" and not os.path.isfile(value[1:]):
        why = (
            f"{value[1:]!r} is a folder: send an archive of it"
            if os.path.isdir(value[1:])
            else f"there is no file {value[1:]!r} here"
        )
        raise ValueError(f"{{{name}}} is {value!r}, but {why}")


def _bind(argdict: Mapping[str, Any], taken: dict[str, str]) -> tuple[dict[str, str], dict[str, File]]:
    """The texts of parameters and the files of others. ``taken``: names in the job that are used, and their sources."""
    texts, files = {}, {}
    for name, value in argdict.items():
        _check_value(name, value)
        if isinstance(value, str) and value[:1] == "@":
            files[name] = _file(name, value[1:], taken)
        else:
            texts[name] = os.fspath(value) if isinstance(value, os.PathLike) else str(value)
    return texts, files


def _file(parameter: str, path: str, taken: dict[str, str]) -> File:
    # Only characters that no shell looks at twice, so that the name needs no quotes.
    wanted = re.sub(r"[^\w.+-]", "_", os.path.basename(path)) or parameter
    wanted = "_" + wanted[1:] if wanted[0] == "-" else wanted
    stem, dot, end = wanted.partition(".")
    name, count = wanted, 1
    while taken.get(name, path) != path:
        count += 1
        name = f"{stem}-{count}{dot}{end}"
    taken[name] = path
    try:
        with open(path, "rb") as file:
            return File(name, file.read())
    except OSError as error:
        raise ValueError(f"{{{parameter}}}: the file {path!r} cannot be read: {error.strerror}") from error
