"""A function that the server shall submit by itself: its code and options as a submission to keep."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeVar

import msgspec

from cloud import _function, _modules, _options, _session
from picloud.wire.call import NOTHING
from picloud.wire.error import SetupError
from picloud.wire.link import Link
from picloud.wire.message import Arguments, Code, Submit

ALLOWED = (
    "_cores", "_env", "_kill_process", "_max_runtime", "_os_env_vars", "_priority", "_profile", "_restartable", "_retries",
    "_retry_delay", "_retry_on", "_secrets", "_type", "_vol", "_webhook",
)  # fmt: skip
"""Keywords that make sense for jobs whose author is not there."""
T = TypeVar("T")


class Stored(NamedTuple):
    """A submission to keep, and the code that it needs."""

    submit: Submit
    code: list[Code]


def link(what: str) -> Link:
    """The way to the server that keeps it.

    Args:
        what: "crons", say.

    Raises:
        SetupError: jobs are simulated; or nothing says which server it is.
    """
    if _session.is_simulated():
        raise SetupError(f"the simulator has no {what}", hint="cloud.setkey(...) leads back to a server; `picloud up` starts one")
    return _session.session().link


def stored(function: Callable[..., Any], shown: Any, chosen: _options.Chosen) -> Stored:
    """A submission of one call without arguments.

    Args:
        function: what jobs run.
        shown: what people take it for.

    Raises:
        pickle.PicklingError: naming the way to what cannot be pickled.
        ValueError: the server has no such core type.
    """
    modules: set[str] = set()
    made, functions = _function.code(function, chosen.retry_on, modules)
    made = msgspec.structs.replace(made, info=_function.describe(shown))
    travels = _session.config.automatic_dependency_transfer
    shipped = _modules.collect(modules, functions, _session.whitelist) if travels else []
    if chosen.options.core_type or chosen.options.cores != 1:
        _options.check_cores(chosen.options, _session.session().server())
    submit = Submit(
        os.urandom(16), made.digest, [one.digest for one in shipped], f"{sys.version_info[0]}.{sys.version_info[1]}",
        made.info["name"], chosen.options, 1, Arguments([len(NOTHING)], NOTHING, [""]), chosen.env_values,
        interpreter=[sys.executable, sys.prefix, sys.base_prefix],
    )  # fmt: skip
    return Stored(submit, [made, *shipped])


def send(to: Link, path: str, asked: Any, kept: Stored, answer: type[T]) -> T:
    """Post what is to be kept, and again with the code that the server lacks; its answer.

    Args:
        asked: a struct with ``kept.submit`` in it.
        answer: a struct with ``missing``.
    """
    while True:
        found: Any = msgspec.msgpack.decode(to.request("POST", path, msgspec.msgpack.encode(asked)), type=answer)
        if not found.missing:
            return found  # type: ignore[no-any-return]
        kept.submit.code = [one for one in kept.code if one.digest in found.missing]


def options(verb: str, label: str, reserved: dict[str, Any], allowed: Iterable[str] = ALLOWED) -> _options.Chosen:
    """The options of its jobs, which have the label of what starts them.

    Raises:
        TypeError: a keyword that ``verb`` does not take.
        ValueError: a bad value.
    """
    for word in reserved:
        if word not in allowed:
            raise TypeError(f"{verb} takes no {word!r}; of the reserved keywords it takes {', '.join(allowed)}")
    chosen = _options.read(reserved)
    chosen.options.label = chosen.options.label or label
    return chosen
