"""What is a key and what is none, by every way in: Python, the command line, HTTP, a mount. Refused means: nothing is stored."""

from __future__ import annotations

import errno
import os
import subprocess
import unicodedata
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cloud import bucket
from picloud.wire.error import BadRequest, NotFound
from picloud.wire.object import Append, Change, Keys, List, New, Put
from tests.conftest import PICLOUD
from tests.flow.mounts import Api, mounted

pytestmark = pytest.mark.usefixtures("empty_bucket")
SHAPES = ["/a", "a/", "a//b", "//", "..", "../a", "a/../b", ".", "a/./b"]
CONTROL = ["a\x07b", "a\x1b[2J", "a\x00b", "a\ufffeb", "a\uffffb"]
LONG = ["x" * 2000, "/".join(["y" * 200] * 6), "p" * 256, "é" * 128, "\U0001f600" * 64]
NONE = ["", *SHAPES, *CONTROL, *LONG]
SOME = ["a", "a b", "...", "..a", "-", "x" * 255, "é" * 127, "\U0001f600" * 63, "/".join(["y" * 203] * 5), "'\"\\%2F?#&<>",
        "\u00e9", "e\u0301", "\uac00", "\u1100\u1161", "\u202egpj.exe", "a\u00a0b"]  # fmt: skip
encode = msgspec.msgpack.encode


def short(key: str) -> str:
    return ascii(key)[:30]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "file"
    made.write_text("1")
    return made


@pytest.mark.parametrize("key", NONE, ids=short)
def test_python_refuses(key: str, file: Path) -> None:
    bucket.putf(b"1", "there")
    for act in (
        lambda: bucket.putf(b"2", key),
        lambda: bucket.put(str(file), key) if key else bucket.putf(b"2", key),
        lambda: bucket.put_many({"fine": b"2", key: b"2"}),
        lambda: bucket.sync_to_cloud(str(file), key) if key else bucket.putf(b"2", key),
        lambda: bucket.rename("there", key),
        lambda: bucket.copy("there", key),
        lambda: bucket.getf(key),
        lambda: bucket.info(key),
        lambda: bucket.remove(key),
        lambda: bucket.make_public(key),
    ):
        with pytest.raises(BadRequest):
            act()
    assert bucket.list() == ["there"]


@pytest.mark.parametrize("key", NONE, ids=short)
def test_http_refuses(key: str, api: Api) -> None:
    api.put("there", b"1")
    asked: list[tuple[str, Any]] = [
        ("put", Put([New("fine", 1, data=b"2"), New(key, 1, data=b"2")])),
        ("append", Append(key, 1, data=b"2")),
        ("find", Keys([key])),
        ("get", Keys([key])),
        ("md5", Keys([key])),
        ("remove", Keys([key])),
        ("rename", Change("there", to=key)),
        ("rename", Change(key, to="new")),
        ("copy", Change("there", to=key)),
        ("publish", Change(key, public=True)),
    ]
    if not key.endswith("/"):  # where a folder is meant, one / may stand there
        asked += [("folder", Change(key)), ("folder/remove", Change(key))]
        asked += [("list", List(key, "", 10, True, ""))] if key else []
    for route, question in asked:
        with pytest.raises(BadRequest):
            api.link.request("POST", f"/v1/object/{route}", encode(question))
    assert api.names() == ["there"]


@pytest.mark.parametrize("raw", [b"a\xffb", b"\xed\xa0\x80", b"\xc0\xaf"], ids=["no UTF-8", "half a pair", "overlong"])
def test_http_refuses_what_is_no_text(raw: bytes, api: Api) -> None:
    body = encode(Put([New("k" * len(raw), 1, data=b"2")])).replace(b"k" * len(raw), raw)
    with pytest.raises(BadRequest):
        api.link.request("POST", "/v1/object/put", body)
    with pytest.raises(BadRequest):  # JSON has its own reader
        api.link.request("POST", "/v1/blob/get", b'{"ids": ["' + raw + b'"]}', kind="application/json")
    assert api.names() == []


@pytest.mark.parametrize("key", [key for key in NONE if "\0" not in key] + ["\udcff"], ids=short)
def test_the_command_line_refuses(key: str, file: Path, server: Any) -> None:
    env = {**os.environ, "PICLOUD_HOME": str(server.home)}
    done = subprocess.run([*PICLOUD, "bucket", "put", str(file), key], env=env, capture_output=True, text=True, check=False)
    assert done.returncode in (2, 3), done.stdout + done.stderr
    assert done.stderr.strip() and "Traceback" not in done.stderr and "\x1b" not in done.stderr
    assert bucket.list() == []


def test_a_mount_refuses(api: Api, tmp_path: Path) -> None:
    with mounted(api, tmp_path) as mount:
        for key in [*CONTROL, *LONG, "\udcff", "a\udcffb"]:
            if "\0" in key:
                continue  # no system call can say it
            where, _, name = key.rpartition("/")
            folder = mount.folder / where
            os.makedirs(folder, exist_ok=True)
            for act in (
                lambda path: open(path, "w"),  # noqa: SIM115 - it must fail
                os.mkdir,
                lambda path: os.rename(mount.folder / "there", path),
            ):
                (mount.folder / "there").write_text("1")
                with pytest.raises(OSError) as failed:
                    act(folder / name)
                assert failed.value.errno in (errno.EINVAL, errno.ENAMETOOLONG), short(key)
            assert not os.path.lexists(folder / name)
    assert [name for name in api.names() if not name.endswith("/")] == ["there"]


@pytest.mark.parametrize("key", SOME, ids=short)
def test_what_is_a_key_is_one_everywhere(key: str, file: Path, api: Api, server: Any, tmp_path: Path) -> None:
    bucket.putf(b"python", key)
    assert bucket.getf(key).read() == b"python" and [*bucket.iterlist()] == [key]
    env = {**os.environ, "PICLOUD_HOME": str(server.home)}
    subprocess.run([*PICLOUD, "bucket", "put", "--", str(file), key], env=env, check=True, capture_output=True)
    assert api.get(key) == b"1"
    with mounted(api, tmp_path) as mount:
        assert (mount.folder / key).read_bytes() == b"1"
        (mount.folder / key).write_bytes(b"mount")
        other = unicodedata.normalize("NFD" if unicodedata.is_normalized("NFC", key) else "NFC", key)
        if other != key and len(other.encode()) <= 255:
            assert not (mount.folder / other).exists()
            (mount.folder / other).write_bytes(b"other")
            assert bucket.getf(other).read() == b"other"
    assert bucket.getf(key).read() == b"mount"
    with pytest.raises(NotFound):
        bucket.getf("none")
