from __future__ import annotations

import importlib
import io
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cloud import _function, _modules


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    files = {
        "alone.py": "import json\nimport shared\ndef work(x):\n    import later\n    return later.y * x\n",
        "shared.py": "value = 1\n",
        "later.py": "y = 2\n",
        "unused.py": "z = 3\n",
        "pkg/__init__.py": "",
        "pkg/one.py": "from . import two\nfrom .deep.three import f\nimport importlib\nimportlib.import_module('lazy')\n",
        "pkg/two.py": "",
        "pkg/other.py": "",
        "pkg/deep/__init__.py": "",
        "pkg/deep/three.py": "def f(x):\n    return x\n",
        "lazy.py": "",
        "broken.py": "def (:\n",
        "plugged/__init__.py": "import importlib\ndef load(name):\n    return importlib.import_module('plugged.' + name)\n",
        "plugged/a.py": "import shared\n",
        "spaced.py": "def work(x):\n    from space.below.last import y\n    return y\n",
        "space/below/last.py": "y = 1\n",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(text)
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]
    for cache in (_modules._own, _modules._packed, _modules._imports):
        cache.clear()


def shipped(function: Any, whitelist: tuple[str, ...] | None = None) -> list[str]:
    modules: set[str] = set()
    _, functions = _function.code(function, None, modules)
    found = _modules.collect(modules, functions, whitelist)
    return zipfile.ZipFile(io.BytesIO(found[0].data)).namelist() if found else []


def load(name: str) -> Any:
    return importlib.import_module(name)


def test_modules_in_namespace_packages_travel_before_anybody_has_imported_them(project: Path) -> None:
    assert "space/below/last.py" in shipped(load("spaced").work)
    assert "space" not in sys.modules


def test_nothing_of_the_library_travels() -> None:
    import json

    import numpy as np

    assert not any(name.startswith(("numpy", "json", "cloud", "picloud")) for name in shipped(lambda: (np.arange, json.dumps)))
    assert not _modules.is_own("cloud")
    assert not _modules.is_own("numpy")
    assert not _modules.is_own("_socket")
    assert not _modules.is_own("there_is_no_such_module")


def test_imports_are_followed_also_inside_functions(project: Path) -> None:
    assert shipped(load("alone").work) == ["alone.py", "later.py", "shared.py"]


def test_packages_with_relative_imports(project: Path) -> None:
    one = load("pkg.one")
    expected = ["lazy.py", "pkg/__init__.py", "pkg/deep/__init__.py", "pkg/deep/three.py", "pkg/one.py", "pkg/two.py"]
    assert [name for name in shipped(lambda: one.f(1)) if not name.startswith("test_")] == expected


def test_an_import_in_the_body_of_a_function_that_travels_itself(project: Path) -> None:
    space: dict[str, Any] = {"__name__": "__main__"}
    exec("def f():\n    from pkg import two\n    import later as l\n    return two, l\n", space)
    assert shipped(space["f"]) == ["later.py", "pkg/__init__.py", "pkg/two.py"]


def test_computed_imports_take_the_loaded_modules_of_the_package(project: Path) -> None:
    plugged = load("plugged")
    plugged.load("a")
    assert shipped(plugged.load) == ["plugged/__init__.py", "plugged/a.py", "shared.py"]


def test_whitelist(project: Path) -> None:
    assert shipped(load("alone").work, ("later",)) == ["later.py"] or shipped(load("alone").work, ("later",)) == []
    assert shipped(load("alone").work, ("alone", "later")) == ["alone.py", "later.py"]
    assert shipped(load("pkg.one").f, ("pkg.deep.three",)) == ["pkg/__init__.py", "pkg/deep/__init__.py", "pkg/deep/three.py"]


def test_the_same_content_has_the_same_digest_and_a_change_is_seen(project: Path) -> None:
    first = _modules.collect({"shared"}, [], None)[0]
    assert _modules.collect({"shared"}, [], None)[0] is first
    _modules._packed.clear()
    assert _modules.collect({"shared"}, [], None)[0].digest == first.digest
    (project / "shared.py").write_text("value = 12345\n")
    assert _modules.collect({"shared"}, [], None)[0].digest != first.digest


def test_a_file_that_does_not_parse_travels_alone(project: Path) -> None:
    found = _modules.collect({"broken"}, [], None)[0]
    assert found.info["modules"] == ["broken"]
