"""The user's own modules, which must travel with a function that uses them.

Own is what is neither of the standard library nor installed (in ``site-packages``): files beside the script, packages of an
editable install. From the modules that the pickler met, imports are followed through the source by ``ast``, also those inside
functions. The files go as one zip with fixed dates and order, so that the same content has the same digest everywhere.
"""

from __future__ import annotations

import ast
import hashlib
import io
import os
import sys
import sysconfig
import types
import zipfile
from collections.abc import Iterable, Iterator
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec, resolve_name
from typing import Any, NamedTuple

from picloud.wire.message import Code

_OURS = frozenset({"cloud", "picloud", "cloudpickle", "__main__", "__mp_main__", "builtins", ""})
_FOREIGN = _OURS | sys.stdlib_module_names
_STDLIB = tuple({sysconfig.get_path(name) + os.sep for name in ("stdlib", "platstdlib")})


class Source(NamedTuple):
    """One module on disk."""

    name: str
    path: str  # "" for a namespace package
    locations: tuple[str, ...]  # where submodules lie; empty for a plain module

    @property
    def entry(self) -> str:
        """Its name inside the zip."""
        stem = self.name.replace(".", "/")
        suffix = os.path.basename(self.path).partition(".")[2]
        return f"{stem}/__init__.{suffix}" if self.locations else f"{stem}.{suffix}"


class Stamp(NamedTuple):
    """What a file was like when it was read."""

    path: str
    modified: int
    size: int


class Packed(NamedTuple):
    code: Code | None
    stamps: tuple[Stamp, ...]


_own: dict[str, bool] = {}
_imports: dict[Stamp, tuple[tuple[str, ...], bool]] = {}
_packed: dict[tuple[frozenset[str], tuple[str, ...] | None], Packed] = {}


def collect(names: Iterable[str], functions: Iterable[Any], whitelist: tuple[str, ...] | None) -> list[Code]:
    """The code of kind "modules" that must go along: one zip, or nothing.

    Args:
        names: modules that the pickler met.
        functions: functions that it met; imports inside their bodies count too.
        whitelist: dotted names that may travel (and what contains or lies in them); None = all.
    """
    roots = {name for name in names if is_own(name)}
    for function in functions:
        roots.update(name for name in imported_inside(function) if is_own(name))
    if not roots:
        return []
    key = frozenset(roots), whitelist
    known = _packed.get(key)
    if known is None or any(_stamp(stamp.path) != stamp for stamp in known.stamps):
        known = _packed[key] = _pack(roots, whitelist)
    return [known.code] if known.code else []


def is_own(name: str) -> bool:
    """True for a module of the user's, judged by where its top package lies."""
    top = name.partition(".")[0]
    found = _own.get(top)
    if found is None:
        found = top not in _FOREIGN and _lies_outside(locate(top))
        if found or top in sys.modules:
            _own[top] = found  # what cannot be found now may be there at the next call
    return found


def _lies_outside(source: Source | None) -> bool:
    if source is None:
        return False
    places = [source.path] if source.path else list(source.locations)
    return not any(_installed(place) for place in places)


def _installed(path: str) -> bool:
    parts = path.split(os.sep)
    return "site-packages" in parts or "dist-packages" in parts or path.startswith(_STDLIB)


def locate(name: str) -> Source | None:
    """Where a module lies, without importing it; None when it has no file."""
    loaded = sys.modules.get(name)
    if loaded is not None:
        path, locations = getattr(loaded, "__file__", None), getattr(loaded, "__path__", None)
    else:
        spec = _spec(name)
        if spec is None:
            return None
        path, locations = spec.origin if spec.has_location else None, spec.submodule_search_locations
    where = tuple(os.path.abspath(str(place)) for place in locations) if locations is not None else ()
    if path and os.path.isfile(path):
        return Source(name, os.path.abspath(path), where)
    return Source(name, "", where) if where else None


def _spec(name: str) -> ModuleSpec | None:
    parent, _, _ = name.rpartition(".")
    try:
        if not parent:
            return find_spec(name)
        above = locate(parent)
        return _below(name, list(above.locations)) if above else None
    except (ImportError, ValueError, AttributeError):
        return None


def _below(name: str, places: list[str]) -> ModuleSpec | None:
    try:
        return PathFinder.find_spec(name, places)
    except KeyError:  # a namespace package: the finder asks for the one above it, which nobody has imported
        found = [folder for place in places if os.path.isdir(folder := os.path.join(place, name.rpartition(".")[2]))]
        spec = ModuleSpec(name, None, is_package=True)
        spec.submodule_search_locations = found
        return spec


# -- following imports ------------------------------------------------------------------------------------------------


def imported_inside(function: Any) -> Iterator[str]:
    """Modules that a function's own body imports."""
    code = getattr(function, "__code__", None)
    if code is None:
        return
    package = function.__globals__.get("__package__") or ""
    for inner in _codes(code):
        if _IMPORT in inner.co_code[::2]:
            yield from _imported_by(inner, package)


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _codes(constant)


def _opcode() -> int:
    from opcode import opmap

    return opmap["IMPORT_NAME"]


_IMPORT = _opcode()


def _imported_by(code: types.CodeType, package: str) -> Iterator[str]:
    import dis

    before: list[Any] = [None, None]
    for step in dis.get_instructions(code):
        if step.opname == "IMPORT_NAME":
            level, names = (one.argval if one else None for one in before[-2:])
            base = _absolute(str(step.argval), level if isinstance(level, int) else 0, package)
            yield from _with_members(base, names if isinstance(names, tuple) else ())
        if step.opname != "EXTENDED_ARG":
            before.append(step)


def _absolute(name: str, level: int, package: str) -> str:
    try:
        return resolve_name("." * level + name, package) if level else name
    except ImportError:
        return ""


def _with_members(base: str, names: Iterable[str]) -> Iterator[str]:
    if base:
        yield base
        yield from (f"{base}.{name}" for name in names if name != "*")


def _imports_of(source: Source, stamp: Stamp) -> tuple[tuple[str, ...], bool]:
    """Modules that a file names in imports, and whether it also imports by computed names."""
    known = _imports.get(stamp)
    if known is None:
        try:
            with open(source.path, "rb") as file:
                tree = ast.parse(file.read(), source.path)
        except (SyntaxError, ValueError, OSError):
            return (), False  # the job will say what is wrong with it, if it ever imports it
        package = source.name if source.locations else source.name.rpartition(".")[0]
        dynamic = [_called(node) for node in ast.walk(tree) if isinstance(node, ast.Call)]
        found = {name for node in ast.walk(tree) for name in _named(node, package)}
        found |= {_absolute(name.lstrip("."), len(name) - len(name.lstrip(".")), package) for name in dynamic if name}
        known = _imports[stamp] = tuple(sorted(found)), "" in dynamic
    return known


def _named(node: ast.AST, package: str) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = _absolute(node.module or "", node.level, package)
        yield from _with_members(base, (alias.name for alias in node.names))


def _called(node: ast.Call) -> str | None:
    """The module of ``import_module("x")``; "" where its name is computed; None for any other call."""
    function = node.func
    called = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    if called not in ("import_module", "__import__") or not node.args:
        return None
    first = node.args[0]
    return first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else ""


# -- packing ----------------------------------------------------------------------------------------------------------


def _pack(roots: set[str], whitelist: tuple[str, ...] | None) -> Packed:
    sources: dict[str, Source] = {}
    stamps: list[Stamp] = []
    waiting = sorted(roots)
    seen: set[str] = set()
    while waiting:
        for name in _with_parents(waiting.pop()):
            if name in seen or not is_own(name) or not _allowed(name, whitelist):
                continue
            seen.add(name)
            source = locate(name)
            if source and source.path:
                stamp = _stamp(source.path)
                sources[source.entry] = source
                stamps.append(stamp)
                waiting += _reached(source, stamp)
    if not sources:
        return Packed(None, ())
    data = _zipped(sources)
    info = {"modules": sorted(source.name for source in sources.values())}
    return Packed(Code(hashlib.sha256(data).hexdigest(), "modules", data, info), tuple(stamps))


def _reached(source: Source, stamp: Stamp) -> list[str]:
    if not source.path.endswith(".py"):
        return []
    names, dynamic = _imports_of(source, stamp)
    top = source.name.partition(".")[0]
    # Who computes names of modules means, as a rule, modules of the same package; the loaded ones are known.
    loaded = [name for name in list(sys.modules) if name.startswith(f"{top}.")] if dynamic else []
    return [*names, *loaded]


def _with_parents(name: str) -> Iterator[str]:
    parts = name.split(".")
    return (".".join(parts[:end]) for end in range(1, len(parts) + 1))


def _allowed(name: str, whitelist: tuple[str, ...] | None) -> bool:
    return whitelist is None or any(name == one or one.startswith(f"{name}.") or name.startswith(f"{one}.") for one in whitelist)


def _stamp(path: str) -> Stamp:
    try:
        found = os.stat(path)
    except OSError:
        return Stamp(path, 0, 0)
    return Stamp(path, found.st_mtime_ns, found.st_size)


def _zipped(sources: dict[str, Source]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for entry in sorted(sources):
            item = zipfile.ZipInfo(entry, (1980, 1, 1, 0, 0, 0))
            item.compress_type, item.create_system, item.external_attr = zipfile.ZIP_DEFLATED, 3, 0o644 << 16
            with open(sources[entry].path, "rb") as source:
                archive.writestr(item, source.read())
    return file.getvalue()
