"""The reserved keywords of a call: their types, their values, and what they become."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterable
from typing import Any

from cloud._jids import asked
from picloud.wire.job import Options
from picloud.wire.secret import check_names
from picloud.wire.volume import check_name
from picloud.wire.webhook import check_url

Callback = Callable[..., Any]
_ENVIRONMENT = re.compile(r"[A-Za-z0-9_-]{1,30}|/[a-z0-9_-]{1,32}/[A-Za-z0-9_-]{1,30}|base/[A-Za-z0-9_.-]{1,30}")
LABEL = 255
"""Characters of a label at most."""
MOST_VOLUMES = 16


class Chosen:
    """What the keywords of one call or map say."""

    __slots__ = ("options", "env_values", "retry_on", "on_success", "on_error", "arguments")

    def __init__(self) -> None:
        self.options = Options()
        self.env_values: dict[str, str] = {}
        self.retry_on: tuple[type[BaseException], ...] | None = None
        self.on_success: list[Callback] = []
        self.on_error: list[Callback] = []
        self.arguments: dict[str, Any] = {}


def read(keywords: dict[str, Any], *, many: bool = False) -> Chosen:
    """Split keywords into the reserved ones, understood, and the function's own.

    Raises:
        TypeError: a wrong type, or a reserved keyword that does not exist (close ones are named).
        ValueError: a bad value; for a map, a keyword of the function.
    """
    chosen = Chosen()
    for word, value in keywords.items():
        if word[:1] != "_":
            if many:
                raise ValueError(f"map takes no keyword arguments for the function ({word!r}): bind it with functools.partial")
            chosen.arguments[word] = value
        elif word not in _READERS:
            raise TypeError(_unknown(word))
        elif many and word in ("_callback", "_callback_on_error"):
            raise TypeError(f"{word} is not available for map: use iresult(ordered=False)")
        else:
            _READERS[word](chosen, word, value)
    return chosen


def _unknown(word: str) -> str:
    import difflib

    close = difflib.get_close_matches(word, _READERS, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(close)}?" if close else f"reserved are {', '.join(_READERS)}"
    return f"unknown keyword {word!r}: names that start with an underscore are reserved; {hint}"


# -- one reader a kind of value ---------------------------------------------------------------------------------------

Reader = Callable[[Chosen, str, Any], None]


def _typed(word: str, value: Any, kind: type | tuple[type, ...], name: str) -> None:
    kinds = kind if isinstance(kind, tuple) else (kind,)
    if not isinstance(value, kind) or (isinstance(value, bool) and bool not in kinds):
        raise TypeError(f"{word} must be {name}, not {value!r} ({type(value).__name__})")


def _flag(field: str) -> Reader:
    def reader(chosen: Chosen, word: str, value: Any) -> None:
        _typed(word, value, bool, "True or False")
        setattr(chosen.options, field, value)

    return reader


def _whole(field: str, least: int, most: int) -> Reader:
    def reader(chosen: Chosen, word: str, value: Any) -> None:
        _typed(word, value, int, "an int")
        if not least <= value <= most:
            raise ValueError(f"{word} must be {least} to {most}, not {value}")
        setattr(chosen.options, field, value)

    return reader


def _milliseconds(field: str, unit: int, name: str, least: int) -> Reader:
    def reader(chosen: Chosen, word: str, value: Any) -> None:
        _typed(word, value, (int, float), f"a number of {name}")
        if not math.isfinite(value) or not least <= round(value * unit) < 1 << 53:
            raise ValueError(f"{word} must be a {'positive ' if least else ''}number of {name}, not {value}")
        setattr(chosen.options, field, round(value * unit))

    return reader


def _label(chosen: Chosen, word: str, value: Any) -> None:
    _typed(word, value, str, "a str")
    if len(value) > LABEL or not value.isascii() or not value.isprintable():
        raise ValueError(
            f"{word} must be at most {LABEL} printable ASCII characters, not {value[:40]!r} ({len(value)} characters)"
        )
    chosen.options.label = value


def _depends_on(chosen: Chosen, word: str, value: Any) -> None:
    try:
        chosen.options.depends_on = [] if value is None else asked(value).unique()
    except TypeError as error:
        raise TypeError(f"{word}: {error}") from None


def _depends_on_errors(chosen: Chosen, word: str, value: Any) -> None:
    _typed(word, value, str, "'abort' or 'ignore'")
    if value not in ("abort", "ignore"):
        raise ValueError(f"{word} must be 'abort' or 'ignore', not {value!r}")
    chosen.options.ignore_dependency_errors = value == "ignore"


def _core_type(chosen: Chosen, word: str, value: Any) -> None:
    _typed(word, value, str, "the name of a core type, such as 'c2'")
    if not value:
        raise ValueError(f"{word} must be the name of a core type, such as 'c2'")
    chosen.options.core_type = value


def _high_cpu(chosen: Chosen, word: str, value: Any) -> None:
    _typed(word, value, bool, "True or False")
    if value and chosen.options.core_type not in ("", "c2"):
        raise ValueError(f"{word} means _type='c2' and contradicts _type={chosen.options.core_type!r}")
    if value:
        chosen.options.core_type = "c2"


def _retry_on(chosen: Chosen, word: str, value: Any) -> None:
    kinds = tuple(value) if isinstance(value, Iterable) and not isinstance(value, type | str) else (value,)
    for kind in kinds:
        if not (isinstance(kind, type) and issubclass(kind, BaseException)):
            raise TypeError(f"{word} must list exception classes, not {kind!r}")
    chosen.retry_on = kinds


def _os_env_vars(chosen: Chosen, word: str, value: Any) -> None:
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise TypeError(f"{word} must be a list of names or a dict of values, not {value!r}")
    names = list(value)
    for name in names:
        _typed(f"each name in {word}", name, str, "a str")
        if not (name.isascii() and name.isidentifier()):
            raise ValueError(f"{word}: {name!r} cannot be the name of a variable: letters, digits and _ are allowed")
    if isinstance(value, dict):
        values = value
    else:
        unset = [name for name in names if name not in os.environ]
        if unset:
            raise ValueError(f"{word}: not set here: {', '.join(unset)}")
        values = {name: os.environ[name] for name in names}
    for name, text in values.items():
        _typed(f"{word}[{name!r}]", text, str, "a str")
        if "\0" in text:
            raise ValueError(f"{word}[{name!r}] holds a NUL character")
    chosen.env_values, chosen.options.env_names = dict(values), sorted(values)


def _secrets(chosen: Chosen, word: str, value: Any) -> None:
    chosen.options.secrets = check_names(value)


def _webhook(chosen: Chosen, word: str, value: Any) -> None:
    if value is not None:
        chosen.options.webhook = check_url(value)


def _env(chosen: Chosen, word: str, value: Any) -> None:
    if value is None:
        return
    _typed(word, value, str, "the name of an environment")
    if not _ENVIRONMENT.fullmatch(value):
        raise ValueError(f"{word} must be 'name', '/owner/name' or 'base/name', not {value[:80]!r}")
    chosen.options.env = value


def _callbacks(field: str) -> Reader:
    def reader(chosen: Chosen, word: str, value: Any) -> None:
        found = list(value) if isinstance(value, list | tuple) else [value]
        for one in found:
            if not callable(one):
                raise TypeError(f"{word} must be a callable or a list of them, not {one!r}")
        setattr(chosen, field, found)

    return reader


def _vol(chosen: Chosen, word: str, value: Any) -> None:
    names = [] if value is None else [value] if isinstance(value, str) else value
    _typed(word, names, (list, tuple), "the name of a volume, or a list of them")
    if len(names) > MOST_VOLUMES:
        raise ValueError(f"{word}: {len(names)} volumes, at most {MOST_VOLUMES}")
    chosen.options.vol = sorted({check_name(name) for name in names})


_READERS: dict[str, Reader] = {
    "_callback": _callbacks("on_success"),
    "_callback_on_error": _callbacks("on_error"),
    "_cores": _whole("cores", 1, 1 << 16),
    "_depends_on": _depends_on,
    "_depends_on_errors": _depends_on_errors,
    "_env": _env,
    "_fast_serialization": _whole("fast_serialization", 0, 2),
    "_high_cpu": _high_cpu,
    "_kill_process": _flag("kill_process"),
    "_label": _label,
    "_max_runtime": _milliseconds("max_runtime_ms", 60_000, "minutes", 1),
    "_os_env_vars": _os_env_vars,
    "_priority": _whole("priority", 1 - (1 << 31), (1 << 31) - 1),
    "_profile": _flag("profile"),
    "_restartable": _flag("restartable"),
    "_retries": _whole("retries", 0, 1000),
    "_retry_delay": _milliseconds("retry_delay_ms", 1000, "seconds", 0),
    "_retry_on": _retry_on,
    "_secrets": _secrets,
    "_type": _core_type,
    "_vol": _vol,
    "_webhook": _webhook,
}


def check_cores(options: Options, server: dict[str, Any]) -> None:
    """Compare ``_type`` and ``_cores`` with the server's table of core types.

    Raises:
        ValueError: no such type, or a count that the type does not allow; the text holds the table.
    """
    table: dict[str, dict[str, Any]] = server["core_types"]
    name = options.core_type or server["default_type"]
    if name not in table:
        raise ValueError(f"_type={name!r} is not a core type of this server; it has {_table(table)}")
    if options.cores not in table[name]["multiples"]:
        *some, last = map(str, table[name]["multiples"])
        allowed = f"{', '.join(some)} or {last}" if some else last
        raise ValueError(f"_type={name!r} takes _cores={allowed}, not _cores={options.cores}; this server has {_table(table)}")


def _table(table: dict[str, dict[str, Any]]) -> str:
    return "; ".join(
        f"{name}: {row['units'] / 1000:g} units and {row['memory'] // (1 << 20)} MB a core, "
        f"_cores {', '.join(map(str, row['multiples']))}"
        for name, row in sorted(table.items())
    )
