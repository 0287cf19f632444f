"""Statistics of every module of Python's own standard library, and of packages installed beside it: 3,000 files.

One job for each file; a progress bar while they run, a table at the end. With a number behind its name: of so many files.

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

STDLIB, INSTALLED = Path(sysconfig.get_path("stdlib")), Path(sysconfig.get_path("purelib"))
FILES = int(sys.argv[1]) if len(sys.argv) > 1 else 3_000
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


def sources():
    """The standard library whole, then installed packages, by root."""
    own = (path for path in sorted(STDLIB.rglob("*.py")) if not {"site-packages", "dist-packages"} & set(path.parts))
    both = [*((STDLIB, path) for path in own), *((INSTALLED, path) for path in sorted(INSTALLED.rglob("*.py")))]
    return both[:FILES]


def package_of(root, path):
    """The first folder below the root."""
    parts = path.relative_to(root).parts
    return parts[0] if len(parts) > 1 else "(single modules)"


def main():
    files = sources()
    began = time.perf_counter()
    jids = cloud.map(study, [str(path) for _, path in files], _label="statistics")
    found = {file: one for file, one in zip(files, cloud.result(jids), strict=True) if one}
    seconds = time.perf_counter() - began

    total, packages, counts = Counter(), {}, Counter()
    for (root, path), one in found.items():
        package, numbers = package_of(root, path), {name: one[name] for name in NUMBERS}
        total.update(numbers)
        packages.setdefault(package, Counter()).update(numbers)
        counts[package] += 1
    sums = ", ".join(f"{total[name]:,} {name}" for name in NUMBERS[:3])
    print(f"{len(found):,} files in {seconds:.1f} s: {sums}")
    table(packages, counts)
    print("\nlongest functions")
    for (_, path), one in sorted(found.items(), key=lambda item: item[1]["longest"], reverse=True)[:5]:
        print(f"{one['longest'][0]:6,} lines  {one['longest'][1]}  in {path.name}")


def table(packages, counts):
    print(f"\n{'package':<22}{'files':>8}{'lines':>11}{'functions':>11}{'classes':>9}{'documented':>12}")
    for name, sums in sorted(packages.items(), key=lambda item: -item[1]["lines"])[:15]:
        share = 100 * sums["documented"] / max(1, sums["functions"] + sums["classes"])
        print(f"{name:<22}{counts[name]:>8,}{sums['lines']:>11,}{sums['functions']:>11,}{sums['classes']:>9,}{share:>10.0f} %")


if __name__ == "__main__":
    sys.exit(main())
