"""``picloud bucket`` over a real server."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from cloud import bucket
from tests.conftest import PICLOUD

pytestmark = pytest.mark.usefixtures("empty_bucket")


@pytest.fixture
def typed(server: Any, tmp_path: Path) -> Any:
    """A command as it is typed: exit code, and what it printed."""

    def run(*words: str) -> tuple[int, str, str]:
        env = {**os.environ, "PICLOUD_HOME": str(server.home)}
        line = [*PICLOUD, "bucket", *words]
        done = subprocess.run(line, env=env, capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path)
        return done.returncode, done.stdout, done.stderr

    return run


def test_the_way_of_an_object(typed: Any, tmp_path: Path) -> None:
    (tmp_path / "it_works.txt").write_text("It Works!\n")
    assert typed("put", "it_works.txt") == (0, "", "")
    assert typed("put", "it_works.txt", "b.txt", "-p", "folder1") == (0, "", "")
    assert typed("list") == (0, "filename\nfolder1/b.txt\nit_works.txt\n", "")
    assert typed("iterlist", "-f", "-o", "no-header")[1] == "folder1/\nit_works.txt\n"
    assert typed("get", "b.txt", "copy", "-p", "folder1", "--start-byte", "3", "--end-byte", "8") == (0, "", "")
    assert (tmp_path / "copy").read_text() == "Works"
    assert typed("get", "folder1/b.txt", ".")[0] == 0 and (tmp_path / "b.txt").read_text() == "It Works!\n"
    assert typed("rename", "folder1", "files")[0] == 0
    assert typed("exists", "files/b.txt")[1] == "True\n" and typed("exists", "folder1/b.txt")[1] == "False\n"
    assert typed("copy", "files", "more", "--json")[1] == '{"copied": 1}\n'
    assert typed("get-md5", "it_works.txt")[1].strip() == bucket.info("it_works.txt")["md5sum"]
    assert typed("remove-prefix", "more") == (0, "", "")
    assert typed("remove", "b.txt", "c.txt", "-p", "files")[1] == "True\n" and typed("remove", "nothing")[1] == "False\n"
    assert json.loads(typed("usage", "--json")[1]) == {"objects": 1, "bytes": 10, "quota": 0}


def test_synchronising(typed: Any, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("one")
    assert typed("sync-to-cloud", "file", "key") == (0, "", "")
    path.write_text("two")
    assert typed("mpsafe-get", "key", "file", "-t", "5") == (0, "", "") and path.read_text() == "two"
    assert typed("mpsafe-get", "key", "file", "-s") == (0, "", "") and path.read_text() == "one"
    path.unlink()
    assert typed("sync-from-cloud", "key", "file") == (0, "", "") and path.read_text() == "one"


def test_pages(typed: Any) -> None:
    bucket.put_many({f"k{n}": b"" for n in range(5)})
    code, printed, told = typed("list", "-k", "2", "-m", "k0")
    assert (code, printed) == (0, "filename\nk1\nk2\n") and "--marker 'k2'" in told
    assert json.loads(typed("list", "--json", "-k", "2")[1]) == [{"filename": "k0"}, {"filename": "k1"}]


def test_public_ones(typed: Any) -> None:
    bucket.putf(b"x", "key")
    assert typed("is-public", "key")[1] == "False\n"
    url = typed("make-public", "key", "-d", "cache-control=no-store", "-d", "a=b=c")[1]
    assert url == typed("is-public", "key")[1] == typed("public-url-folder")[1].strip() + "key\n"
    lines = typed("info", "key")[1].splitlines()
    assert {"size: 1", "public: True", f"url: {url.strip()}", "cache-control: no-store", "a: b=c"} <= {*lines}
    assert typed("make-public", "key", "-r")[0] == 0 and "a" not in json.loads(typed("info", "key", "--json")[1])
    assert typed("make-private", "key") == (0, "", "") and typed("is-public", "key")[1] == "False\n"


def test_a_match(typed: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("1")
    etag = json.loads(typed("put", "file", "key", "--if-match", "", "--json")[1])["etag"]
    assert typed("put", "file", "key", "--if-match", "")[0] == 3
    assert typed("put", "file", "key", "--if-match", etag)[0] == 0


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("put", "/no/such/file"), 2, "does not exist"),
        (("put", "/"), 2, "is a directory"),
        (("put", "/etc/hostname", "a//b"), 3, "is no key"),
        (("get", "nothing"), 3, "no object 'nothing'"),
        (("get", "key", "/proc/nothing/file"), 1, "No such file"),
        (("get", "key", "--start-byte", "99"), 3, "none from byte 99 on"),
        (("get", "key", "--start-byte", "2", "--end-byte", "1"), 1, "lies before"),
        (("list", "-k", "0"), 1, "1 to 10000"),
        (("make-public", "key", "-d", "novalue"), 2, "NAME=VALUE"),
        (("remove",), 2, "Missing argument"),
        (("remove-prefix", ""), 1, "empty prefix"),
        (("rename", "nothing", "other"), 3, "no object or folder"),
    ],
)
def test_wrong_words(typed: Any, words: tuple[str, ...], code: int, says: str) -> None:
    bucket.putf(b"x", "key")
    found, _, told = typed(*words)
    assert found == code and says in " ".join(told.split()), told
    assert bucket.list() == ["key"]
