"""The code of submissions: function by digest, the user's modules by set of digests.

A set of shipped modules that goes out of use is put on a shelf with its loaded modules; when it comes back nothing is
imported again, and two submissions with different versions of a module never see each other's.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from picloud.wire import payload

FUNCTIONS = 128  # loaded functions kept
SETS = 4  # sets of shipped modules kept loaded


class Spec(NamedTuple):
    """What a runner knows about a submission; the worker writes it as JSON."""

    key: int
    function: str
    modules: tuple[str, ...]
    name: str
    python: str
    env: dict[str, str]
    kill_process: bool
    profile: bool
    hidden: Sequence[str] = ()  # values of secrets, which are in ``env`` too


class Loaded(NamedTuple):
    call: Any
    retry_on: tuple[type[BaseException], ...] | None
    mine: dict[str, Any]  # functions and classes of the user's own script, by name


class Code:
    """Loads specs, modules and functions from the worker's folder."""

    def __init__(self, folder: Path, specs: Path) -> None:
        self.folder, self.spec_folder = folder, specs
        self.current: tuple[str, ...] = ()
        self._shelf: OrderedDict[tuple[str, ...], dict[str, ModuleType]] = OrderedDict()
        self._functions: OrderedDict[tuple[tuple[str, ...], str], Loaded] = OrderedDict()
        self._shown: Loaded | None = None

    def spec(self, key: int) -> Spec:
        """Read the spec of that key."""
        found = json.loads((self.spec_folder / f"{key}.json").read_bytes())
        return Spec(**{**found, "key": key, "modules": tuple(found["modules"])})

    def function(self, spec: Spec) -> Loaded:
        """The callable of a spec, with its modules importable. Raises whatever loading raises."""
        if spec.modules != self.current:
            self._use(spec.modules)
        key = spec.modules, spec.function
        found = self._functions.get(key)
        if found is None:
            call, retry_on = payload.loads((self.folder / f"{spec.function}.pkl").read_bytes())
            found = self._functions[key] = Loaded(call, tuple(retry_on) if retry_on is not None else None, _of_script(call))
            if len(self._functions) > FUNCTIONS:
                self._functions.popitem(last=False)
        else:
            self._functions.move_to_end(key)
        if found is not self._shown:
            self._shown = found
            vars(sys.modules["__main__"]).update(found.mine)
        return found

    def _use(self, modules: tuple[str, ...]) -> None:
        roots = tuple(str(self.folder / digest) for digest in self.current)
        ours = {name: module for name, module in sys.modules.items() if _lies_in(module, roots)}
        for name in ours:
            del sys.modules[name]
        if self.current:
            self._shelf[self.current] = ours
        sys.path[:] = [*(str(self.folder / d) for d in modules), *(p for p in sys.path if p not in roots)]
        sys.modules.update(self._shelf.pop(modules, {}))
        self.current = modules
        if len(self._shelf) > SETS:
            gone, _ = self._shelf.popitem(last=False)
            for key in [k for k in self._functions if k[0] == gone]:
                del self._functions[key]
        importlib.invalidate_caches()


def _of_script(call: Any) -> dict[str, Any]:
    """What the user's script defined and the function uses: with it in ``__main__``, processes that the job starts find it.

    ``multiprocessing`` names functions by module and name, and takes what it does not find there for not picklable.
    """
    names = getattr(getattr(call, "__func__", call), "__globals__", {})
    found = {name: value for name, value in names.items() if callable(value) and getattr(value, "__module__", "") == "__main__"}
    if getattr(call, "__module__", "") == "__main__" and (name := getattr(call, "__name__", "")).isidentifier():
        found[name] = call
    return found


def _lies_in(module: ModuleType, roots: tuple[str, ...]) -> bool:
    if not roots:
        return False
    file = getattr(module, "__file__", None)
    places = [file] if file else list(getattr(module, "__path__", ()))
    return any(str(place).startswith(root + "/") for place in places for root in roots)
