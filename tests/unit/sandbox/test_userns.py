"""User namespaces: as root of the machine, and as an ordinary user with subordinate ids."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from picloud.sandbox import userns
from picloud.sandbox.userns import FIRST, SPAN, Ids

SHOW = ["sh", "-c", "id -u; cat /proc/self/uid_map"]


def test_root_inside_is_nobody_outside() -> None:
    done = userns.run(SHOW, userns.ids_for(), capture_output=True)
    first, *lines = done.stdout.decode().splitlines()
    assert done.returncode == 0, done.stderr
    assert first == "0"
    assert [int(word) for line in lines for word in line.split()][:2] == [0, userns.ids_for().users()[0][1]]


def test_accounts_have_ranges_of_their_own() -> None:
    if os.geteuid() == 0:
        assert userns.ids_for(0) == Ids(FIRST) and userns.ids_for(1) == Ids(FIRST + SPAN)
        assert userns.ids_for(10**9).base + SPAN < 2**32 - 1
    else:
        assert not userns.ids_for(0).root


def test_one_id_alone_needs_no_tool() -> None:
    alone = Ids(os.geteuid(), 1, False, os.getegid())
    done = userns.run(SHOW, alone, capture_output=True)
    assert done.stdout.split() == [b"0", b"0", str(os.geteuid()).encode(), b"1"]


def test_a_range_that_is_not_ours_is_refused_with_the_reason() -> None:
    done = userns.run(["true"], Ids(2**32 - 2, 65536, True), capture_output=True)
    assert done.returncode == 125
    assert b"user namespace" in done.stderr


def test_a_program_that_is_not_there_says_so() -> None:
    done = userns.run(["/no/such/program"], userns.ids_for(), capture_output=True)
    assert done.returncode == 125 and b"No such file" in done.stderr


def test_descriptors_and_status_pass_through() -> None:
    read, write = os.pipe()
    with os.fdopen(read) as stream:
        done = userns.run(["bash", "-c", f"echo hello >&{write}; exit 7"], userns.ids_for(), fds=[write])
        os.close(write)
        assert (done.returncode, stream.read()) == (7, "hello\n")


def test_removing_what_is_not_there_is_nothing(tmp_path: Path) -> None:
    userns.remove_tree(tmp_path / "gone", userns.ids_for())


def test_a_tree_is_removed_and_what_links_lead_to_stays(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("x")
    (tmp_path / "tree/a/b").mkdir(parents=True)
    (tmp_path / "tree/a/link").symlink_to(tmp_path)
    (tmp_path / "tree/a").chmod(0)
    userns.remove_tree(tmp_path / "tree", userns.ids_for())
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_it_starts_without_site_packages() -> None:
    """Holders and the removal of folders start it as a program, where every millisecond counts."""
    code = f"import runpy, sys; runpy.run_path({userns.__file__!r}); print('msgspec' in sys.modules, 'shutil' in sys.modules)"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split()[0] == "False"


@pytest.mark.root
@pytest.mark.slow
def test_as_an_ordinary_user(ordinary: list[str]) -> None:
    """This file's other tests, and those of layers, as somebody with subordinate ids."""
    files = [__file__, str(Path(__file__).with_name("test_layer.py")), str(Path(__file__).with_name("test_pack.py"))]
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not root", *files]
    done = subprocess.run([*ordinary, *words], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


def test_a_tree_is_removed_from_within(tmp_path: Path) -> None:
    (tmp_path / "tree" / "deep").mkdir(parents=True)
    (tmp_path / "tree" / "deep" / "leaf").write_text("green")
    userns.remove_tree(tmp_path / "tree", Ids(os.geteuid(), 1, False, os.getegid()))  # as an ordinary user does it
    assert not (tmp_path / "tree").exists()
