"""Statistics of every module of Python's own standard library, and of what is installed beside it.

One job for each of thousands of files; a progress bar while they run, a table at the end.

Prints::

    ... files in ... s: ... lines, ... functions, ... classes
    <BLANKLINE>
    package                  files      lines  functions  classes  documented
    ...
    <BLANKLINE>
    longest functions
    ...
"""

import ast
import sys
import sysconfig
import time
from collections import Counter
from pathlib import Path

import cloud

ROOTS = [Path(sysconfig.get_path("stdlib")), Path(sysconfig.get_path("purelib"))]
NUMBERS = ("lines", "functions", "classes", "documented")


def study(path):
    """Lines, functions, classes, documented ones and the longest function of one source file."""
    text = Path(path).read_bytes()
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return None  # some files are there to test Python's parser
    nodes = list(ast.walk(tree))
    functions = [node for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    classes = [node for node in nodes if isinstance(node, ast.ClassDef)]
    longest = max(functions, key=length, default=None)
    return {
        "lines": text.count(b"\n"),
        "functions": len(functions),
        "classes": len(classes),
        "documented": sum(ast.get_docstring(node, clean=False) is not None for node in functions + classes),
        "longest": (length(longest), longest.name) if longest else (0, ""),
    }


def length(function):
    return function.end_lineno - function.lineno + 1


def package_of(path):
    """The first folder below the deepest root that holds the file."""
    root = max((root for root in ROOTS if path.is_relative_to(root)), key=lambda root: len(root.parts))
    inside = path.relative_to(root)
    return inside.parts[0].removesuffix(".py") if root != ROOTS[0] or len(inside.parts) > 1 else "(single modules)"


def main():
    files = sorted({path for root in ROOTS for path in root.rglob("*.py")})
    began = time.perf_counter()
    jids = cloud.map(study, [str(path) for path in files], _label="statistics")
    found = {path: one for path, one in zip(files, cloud.result(jids), strict=True) if one}
    seconds = time.perf_counter() - began

    total, packages, counts = Counter(), {}, Counter()
    for path, one in found.items():
        numbers = {name: one[name] for name in NUMBERS}
        total.update(numbers)
        packages.setdefault(package_of(path), Counter()).update(numbers)
        counts[package_of(path)] += 1
    sums = ", ".join(f"{total[name]:,} {name}" for name in NUMBERS[:3])
    print(f"{len(found):,} files in {seconds:.1f} s: {sums}")
    table(packages, counts)
    print("\nlongest functions")
    for path, one in sorted(found.items(), key=lambda item: item[1]["longest"], reverse=True)[:5]:
        print(f"{one['longest'][0]:6,} lines  {one['longest'][1]}  in {path.name}")


def table(packages, counts):
    print(f"\n{'package':<22}{'files':>8}{'lines':>11}{'functions':>11}{'classes':>9}{'documented':>12}")
    for name, sums in sorted(packages.items(), key=lambda item: -item[1]["lines"])[:15]:
        share = 100 * sums["documented"] / max(1, sums["functions"] + sums["classes"])
        print(f"{name:<22}{counts[name]:>8,}{sums['lines']:>11,}{sums['functions']:>11,}{sums['classes']:>9,}{share:>10.0f} %")


if __name__ == "__main__":
    sys.exit(main())
