"""Options of the client: the file ``cloudconf.py``, the stored credentials, the environment.

``cloudconf.py`` is a Python file of plain assignments in the folder that :func:`folder` names. It is read, never run.
An option comes from, later ones winning: the default below, the file, ``PICLOUD_API_KEY`` and its kin, an assignment to
``cloud.config.NAME``. Assignments take effect with ``cloud.config.commit()``.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Callable
from typing import Any

from picloud.wire.error import SetupError

DEFAULTS: dict[str, tuple[Any, str]] = {
    "api_key": ("None", "numeric key of the account; its secret lies in credentials/<key>/cloudauth"),
    "url": ("http://127.0.0.1:7421", "address of the server"),
    "fingerprint": ("", "sha256 of the server's certificate, where `picloud up --host` made one"),
    "use_simulator": (False, "run jobs on this machine without a server"),
    "automatic_dependency_transfer": (True, "ship your own modules along with functions"),
    "cloud_result_cache_size": (4096, "kB of results kept at the client"),
    "num_procs": (8, "processes of cloud.mp and the simulator; 0 = one for each core"),
    "print_log_level": ("ERROR", "least level of the client's messages shown on stderr"),
}
_ENVIRONMENT = {"api_key": "PICLOUD_API_KEY", "url": "PICLOUD_URL", "fingerprint": "PICLOUD_FINGERPRINT"}


def folder() -> str:
    """The folder of the client's configuration and credentials: ``PICLOUD_HOME``, else ``~/.picloud``."""
    return os.path.abspath(os.path.expanduser(os.environ.get("PICLOUD_HOME") or "~/.picloud"))


class Config:
    """One attribute for each option. ``commit()`` puts changes into force."""

    _apply: Callable[[], None]

    def __init__(self, apply: Callable[[], None]) -> None:
        self.__dict__["_apply"] = apply
        self.__dict__["_values"] = None
        self.__dict__["_assigned"] = {}

    def _all(self) -> dict[str, Any]:
        values: dict[str, Any] | None = self.__dict__["_values"]
        if values is None:
            values = {name: default for name, (default, _) in DEFAULTS.items()}
            values |= {name: value for name, value in _read().items() if name in DEFAULTS}
            values |= {name: os.environ[key] for name, key in _ENVIRONMENT.items() if os.environ.get(key)}
            values |= self.__dict__["_assigned"]
            self.__dict__["_values"] = values
        return values

    def __getattr__(self, name: str) -> Any:
        try:
            return self._all()[name]
        except KeyError:
            raise AttributeError(_unknown(name)) from None

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in DEFAULTS:
            raise AttributeError(_unknown(name))
        default = DEFAULTS[name][0]
        if type(default) is not str and type(value) is not type(default):
            raise TypeError(f"cloud.config.{name} is {type(default).__name__}, not {value!r}")
        self.__dict__["_assigned"][name] = self._all()[name] = str(value) if type(default) is str else value

    def __dir__(self) -> list[str]:
        return [*DEFAULTS, "commit"]

    def commit(self) -> None:
        """Apply changes, also of file and environment: closes the connection, forgets ``setkey`` and simulated jobs."""
        self.__dict__["_values"] = None
        self._apply()

    def _forget(self) -> None:
        """Drop assignments, and read file and environment again at the next use."""
        self.__dict__["_values"] = None
        self.__dict__["_assigned"] = {}


def _unknown(name: str) -> str:
    import difflib

    close = difflib.get_close_matches(name, DEFAULTS)
    return f"cloud.config has no option {name!r}; {'did you mean ' + close[0] if close else 'options: ' + ', '.join(DEFAULTS)}"


def _read() -> dict[str, Any]:
    path = os.path.join(folder(), "cloudconf.py")
    try:
        with open(path, encoding="utf8") as file:
            tree = ast.parse(file.read(), path)
    except FileNotFoundError:
        return {}
    except (OSError, SyntaxError, ValueError) as error:
        raise SetupError(f"cannot read {path}: {error}", hint="correct or remove it") from error
    found: dict[str, Any] = {}
    for line in tree.body:
        if isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Name):
            try:
                found[line.targets[0].id] = ast.literal_eval(line.value)
            except ValueError as error:
                raise SetupError(f"{path} line {line.lineno}: only plain values are read there", hint="correct it") from error
    return found


def secret_of(key: str) -> str:
    """The stored secret of a key.

    Raises:
        SetupError: none is stored here.
    """
    import configparser

    path = os.path.join(folder(), "credentials", str(key), "cloudauth")
    parser = configparser.ConfigParser(interpolation=None)
    try:
        with open(path, encoding="utf8") as file:
            parser.read_file(file)
        return parser["ApiKey"]["secretkey"]
    except (OSError, KeyError, configparser.Error) as error:
        hint = "run `picloud setup` on this machine, or set PICLOUD_API_SECRETKEY"
        raise SetupError(f"the secret of key {key} is not stored in {path}: {error}", hint=hint) from error
