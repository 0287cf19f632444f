"""What secrets may be: names, variables and values, checked by client and server alike."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from picloud.wire.error import BadRequest

MOST = 16
"""Secrets of one job."""
MOST_SECRETS = 1000
"""Of an account."""
MOST_VARIABLES = 100
"""Of one secret."""
LARGEST = 65_536
"""Bytes of all values of one secret."""
MASKED = 4
"""Characters from which on a value is masked in what jobs say. A shorter one would mask half of every text."""
OURS = "PICLOUD_"
"""How variables begin that are the platform's own."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")


def check_name(name: Any) -> str:
    """The name, if a secret can have it.

    Raises:
        TypeError: it is no text.
        BadRequest: no secret can be called so.
    """
    if not isinstance(name, str):
        raise TypeError(f"a secret's name is a str, not {name!r:.80} ({type(name).__name__})")
    if not _NAME.fullmatch(name):
        raise BadRequest(f"no secret can be called {name[:80]!r}", hint="1 to 64 letters, digits, _ and -; the first is no sign")
    return name


def check_values(values: Any) -> dict[str, str]:
    """The values of a secret by variable, if they can be. No text of an error holds any of them.

    Raises:
        TypeError: no mapping of texts to texts.
        BadRequest: none at all, a name that cannot be a variable's, a NUL, or too much of it.
    """
    if not isinstance(values, Mapping):
        raise TypeError(f"a secret's values are a dict, not a {type(values).__name__}")
    for name, value in values.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise TypeError(f"a secret's variables and values are texts: {name!r:.80} is {type(value).__name__}")
        if not _VARIABLE.fullmatch(name) or name.startswith(OURS):
            hint = f"letters, digits and _; names that begin with {OURS} are the platform's own"
            raise BadRequest(f"{name[:80]!r} cannot be a variable of a secret", hint=hint)
        if "\0" in value or any("\ud800" <= sign <= "\udfff" for sign in value):
            raise BadRequest(f"the value of {name} is no text: it holds a NUL or is no UTF-8", hint="encode bytes, as base64 say")
    size = sum(len(value.encode()) for value in values.values())
    if not 0 < len(values) <= MOST_VARIABLES or size > LARGEST:
        raise BadRequest(f"{len(values)} variables with {size} bytes", hint=f"1 to {MOST_VARIABLES} with at most {LARGEST} bytes")
    return dict(values)


def check_names(names: Any) -> list[str]:
    """Names of the secrets of a job: one, or a list of them, each once, in their order.

    Raises:
        TypeError: no names.
        BadRequest: too many, or one that no secret can have.
    """
    given = [] if names is None else [names] if isinstance(names, str) else names
    if not isinstance(given, list | tuple):
        raise TypeError(f"_secrets is the name of a secret, or a list of them, not {names!r:.80}")
    if len(given) > MOST:
        raise BadRequest(f"{len(given)} secrets for one job", hint=f"at most {MOST}")
    return list(dict.fromkeys(check_name(name) for name in given))


def unmasked(values: Mapping[str, str]) -> list[str]:
    """Variables whose values are too short to be masked."""
    return [name for name, value in values.items() if len(value.strip()) < MASKED]
