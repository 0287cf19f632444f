"""The bucket over a real server: every function, from a client, from jobs, from another account."""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

import cloud
from cloud import bucket
from picloud.wire.error import BadRequest, Conflict, NotFound
from picloud.wire.object import CARRIED, INLINE

pytestmark = pytest.mark.usefixtures("empty_bucket")

DATA = os.urandom(1_500_000)


def md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def test_a_file_there_and_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "points.csv").write_bytes(DATA)
    bucket.put("points.csv")
    bucket.put("points.csv", "table", ["data", "2026"])
    assert bucket.list() == ["data/2026/table", "points.csv"]
    bucket.get("points.csv", "new/folder/")
    bucket.get("table", prefix="data/2026")
    bucket.get("points.csv", "part", start_byte=1000, end_byte=700_000)
    assert (tmp_path / "new" / "folder" / "points.csv").read_bytes() == (tmp_path / "table").read_bytes() == DATA
    assert (tmp_path / "part").read_bytes() == DATA[1000:700_000]
    told = bucket.info("points.csv")
    assert (told["size"], told["md5sum"], told["public"], told["url"]) == (len(DATA), md5(DATA), False, None)
    assert told["content-type"] == "text/csv" and told["created"] <= told["last-modified"]
    assert bucket.get_md5("points.csv") == md5(DATA)


@pytest.mark.parametrize("size", [0, 1, INLINE, INLINE + 1, CARRIED, CARRIED + 1, 1_500_000])
def test_every_kind_of_bytes(size: int) -> None:
    data = DATA[:size]
    etag = bucket.putf(io.BytesIO(data), "key")
    assert bucket.info("key")["etag"] == etag
    with bucket.getf("key") as file:
        assert (file.filesize, file.sizeofchunk, file.end, file.md5) == (size, size, size, md5(data))
        assert file.read() == data and file.tell() == size
    assert dict(bucket.get_many(["key"])) == {"key": data}
    assert bucket.getf("key", start_byte=size).read() == b""
    with pytest.raises(BadRequest, match=f"has {size} bytes"):
        bucket.getf("key", start_byte=size + 1)


def test_an_open_object_is_a_file() -> None:
    lines = [b"%d " % n + b"x" * (n % 300) + b"\n" for n in range(5000)]
    bucket.putf(b"".join(lines), "text")
    file = bucket.getf("text")
    assert file.readline() == lines[0] and file.readlines(8) == lines[1:3]
    assert [*itertools.islice(file, 3)] == lines[3:6]
    assert [*file] == lines[6:]
    assert file.seek(len(lines[0])) == len(lines[0]) and file.readline() == lines[1]
    assert file.seek(-5, io.SEEK_END) and file.read() == lines[-1][-5:]
    assert io.TextIOWrapper(bucket.getf("text", start_byte=2, end_byte=10)).read() == b"".join(lines)[2:10].decode()
    file.close()
    with pytest.raises(ValueError, match="closed"):
        file.read()


def test_synchronising_moves_only_what_differs(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(DATA)
    for _ in range(2):
        bucket.sync_to_cloud(str(path), "key")
    first = bucket.info("key")["etag"]
    path.write_bytes(DATA[::-1])
    bucket.sync_to_cloud(str(path), "key")
    assert bucket.info("key")["etag"] != first
    written = path.stat().st_ino
    bucket.sync_from_cloud("key", str(path))
    assert path.stat().st_ino == written
    bucket.putf(DATA, "key")
    bucket.sync_from_cloud("key", str(path))
    assert path.read_bytes() == DATA


def test_one_download_for_many_processes(tmp_path: Path, server: Any) -> None:
    bucket.putf(DATA, "key")
    code = "import sys, cloud; cloud.bucket.mpsafe_get('key', sys.argv[1], timeout=60)"
    path = tmp_path / "file"
    started = [subprocess.Popen([sys.executable, "-c", code, str(path)]) for _ in range(4)]
    assert [one.wait(60) for one in started] == [0] * 4
    assert path.read_bytes() == DATA and os.listdir(tmp_path) == ["file"]
    bucket.putf(b"new", "key")
    bucket.mpsafe_get("key", str(path))
    assert path.read_bytes() == DATA
    bucket.mpsafe_get("key", str(path), do_sync=True)
    assert path.read_bytes() == b"new"


def test_thousands_of_keys_in_pages() -> None:
    keys = [f"many/{n % 3}/{n:05}" for n in range(3000)]
    assert bucket.put_many({key.removeprefix("many/"): key * 5 for key in keys}, "many") == 3000
    found = bucket.list()
    assert len(found) == 1000 and found.truncated and found == sorted(keys)[:1000]
    after = bucket.list(marker=found[-1], max_keys=5000)
    assert found + after == sorted(keys) and not after.truncated
    assert [*bucket.iterlist("many/1")] == sorted(key for key in keys if key.startswith("many/1/"))
    assert bucket.list(["many"], folderize=True, max_keys=2) == ["many/0/", "many/1/"]
    assert [*bucket.iterlist("many", folderize=True, num_readahead_keys=1)] == ["many/0/", "many/1/", "many/2/"]
    assert dict(bucket.get_many(keys)) == {key: (key * 5).encode() for key in keys}
    bucket.rename("many", "few")
    assert bucket.copy("few/2", "again") == 1000
    assert bucket.usage()["objects"] == 4000
    assert bucket.remove([f"few/2/{n:05}" for n in range(2, 3000, 3)]) and not bucket.remove("few/2/00002")
    assert bucket.remove_prefix("few") == 2000
    assert dict(bucket.get_many(["again/00002"])) == {"again/00002": b"many/2/00002" * 5}


def test_a_key_and_a_folder_are_two_things() -> None:
    bucket.putf(b"1", "a")
    with pytest.raises(Conflict, match="'a' is an object"):
        bucket.putf(b"2", "a/b")
    bucket.putf(b"3", "c/d")
    with pytest.raises(Conflict, match="'c' is a folder"):
        bucket.putf(b"4", "c")
    bucket.make_folder("empty/folder")
    assert bucket.list("empty", folderize=True) == ["empty/folder/"] and not bucket.exists("empty/folder")
    with pytest.raises(Conflict):
        bucket.rename("c/d", "a", replace=False)
    bucket.rename("c/d", "a")
    assert bucket.getf("a").read() == b"3"


def test_what_is_not_there(tmp_path: Path) -> None:
    for ask in (bucket.info, bucket.get_md5, bucket.getf, bucket.is_public, bucket.make_public, bucket.make_private):
        with pytest.raises(NotFound, match="no object 'nothing'"):
            ask("nothing")
    path = tmp_path / "file"
    path.write_bytes(b"old")
    for bring in (bucket.get, bucket.sync_from_cloud):
        with pytest.raises(NotFound):
            bring("nothing", str(path))
    assert path.read_bytes() == b"old"
    with pytest.raises(NotFound):
        bucket.rename("nothing", "other")
    assert not bucket.exists("nothing") and not bucket.remove("nothing") and bucket.remove_prefix("nothing") == 0


def test_unicode_forms_are_different_keys() -> None:
    composed, decomposed = "é\U0001f600", "e\u0301\U0001f600"
    bucket.putf(b"one", composed)
    bucket.putf(b"two", decomposed)
    assert bucket.list() == sorted([composed, decomposed], key=str.encode)
    assert [bucket.getf(key).read() for key in (composed, decomposed)] == [b"one", b"two"]
    url = bucket.make_public(decomposed)
    assert curl(url) == (200, b"two", {})[:2]


def test_two_writers_and_a_match() -> None:
    first = bucket.putf(b"1", "key", if_match="")
    with pytest.raises(Conflict):
        bucket.putf(b"2", "key", if_match="")
    second = bucket.putf(DATA, "key", if_match=first)
    with pytest.raises(Conflict) as caught:
        bucket.putf(b"3", "key", if_match=first)
    assert caught.value.facts["etag"] == second
    assert bucket.getf("key").read() == DATA


def test_an_upload_that_breaks_off_leaves_the_old_object_and_nothing_else(server: Any) -> None:
    bucket.putf(b"old", "key")
    link = cloud._session.session().link
    ticket = link.json("POST", "/v1/blob", {"sizes": [1 << 20]})["blobs"][0]
    at = urlsplit(ticket["url"])
    code = (
        "import socket, sys; host, port, path = sys.argv[1:]; s = socket.create_connection((host, int(port)))\n"
        "s.sendall(f'PUT {path} HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: 1048576\\r\\n\\r\\n'.encode() + bytes(500_000))\n"
        "s.shutdown(1); print(s.recv(100))"
    )
    where = [str(at.hostname), str(at.port), f"{at.path}?{at.query}"]
    done = subprocess.run([sys.executable, "-c", code, *where], capture_output=True, text=True, timeout=30, check=True)
    assert "200" not in done.stdout
    assert bucket.getf("key").read() == b"old"
    assert not [*(server.home / "blob" / "new").glob(f"{ticket['id']}*")]
    assert not [*(server.home / "blob").glob(f"*/*/{ticket['id']}")]


# -- for everybody ----------------------------------------------------------------------------------------------------------


def curl(url: str, *words: str) -> tuple[int, bytes]:
    """Status and body, as curl tells them."""
    done = subprocess.run(["curl", "-sS", "-w", "\n%{http_code}", *words, url], capture_output=True, timeout=30, check=True)
    body, _, status = done.stdout.rpartition(b"\n")
    return int(status), body


def test_public_objects() -> None:
    bucket.putf(DATA, "dir/my file.bin")
    assert bucket.is_public("dir/my file.bin") is False
    url = bucket.make_public("dir/my file.bin", headers={"Cache-Control": "max-age=5", "colour": "blue"})
    assert url == bucket.is_public("dir/my file.bin") == bucket.info("dir/my file.bin")["url"]
    assert url == bucket.public_url_folder() + "dir/my%20file.bin"
    assert curl(url) == (200, DATA)
    assert curl(url, "-r", "1000-1999") == (206, DATA[1000:2000])
    assert curl(url, "-r", "-10") == (206, DATA[-10:])
    assert curl(url, "-r", "1500000-")[0] == 416
    _, head = curl(url, "-I")
    assert b"cache-control: max-age=5" in head and b"x-meta-colour: blue" in head
    bucket.make_public("dir/my file.bin", reset_headers=True)
    assert "colour" not in bucket.info("dir/my file.bin")
    bucket.make_private("dir/my file.bin")
    assert curl(url)[0] == 404 and bucket.is_public("dir/my file.bin") is False


def test_a_public_page_runs_no_script_of_ours() -> None:
    bucket.putf("<script>alert(1)</script>", "page.html")
    _, head = curl(bucket.make_public("page.html"), "-I")
    assert b"content-type: text/html" in head
    assert b"content-security-policy: sandbox" in head and b"x-content-type-options: nosniff" in head


def test_another_account_sees_nothing(server: Any) -> None:
    bucket.putf(b"mine", "mine")
    made = cloud._session.session().link.json("POST", "/v1/admin/account", {"name": "bella"})
    try:
        cloud.setkey(made["api_key"], made["api_secretkey"], server.url)
        assert bucket.list() == [] and not bucket.exists("mine") and not bucket.remove("mine")
        for ask in (bucket.getf, bucket.info, bucket.make_public, bucket.get_md5):
            with pytest.raises(NotFound):
                ask("mine")
        bucket.putf(b"hers", "mine")
        assert bucket.getf("mine").read() == b"hers"
        bucket.remove("mine")
    finally:
        server.use()
    assert bucket.getf("mine").read() == b"mine"


# -- in jobs ----------------------------------------------------------------------------------------------------------------


def test_a_job_uses_the_bucket() -> None:
    bucket.putf(DATA, "in")

    def reverse() -> list[str]:
        import cloud

        data = cloud.bucket.getf("in").read()
        cloud.bucket.putf(data[::-1], "out")
        cloud.bucket.get("in", "file", start_byte=5, end_byte=10)
        with open("file", "rb") as file:
            assert file.read() == data[5:10]
        cloud.bucket.put_many({f"s/{n}": str(n) for n in range(10)})
        return list(cloud.bucket.list())

    assert cloud.result(cloud.call(reverse), timeout=60) == ["in", "out", *(f"s/{n}" for n in range(10))]
    assert bucket.getf("out").read() == DATA[::-1]


def test_a_large_argument_of_a_job_that_a_job_submits() -> None:
    """It goes to the edge by the door, as the bytes of objects do."""

    def parent() -> int:
        import cloud

        return int(cloud.result(cloud.call(len, bytes(300_000))))

    assert cloud.result(cloud.call(parent), timeout=60) == 300_000


def test_a_program_uses_the_command_line() -> None:
    bucket.putf(b"17\n25\n", "numbers")
    command = "picloud bucket get numbers && awk '{s += $1} END {print s}' numbers > sum && picloud bucket put sum"
    cloud.result(cloud.shell.execute(command, {}), timeout=60)
    assert bucket.getf("sum").read() == b"42\n"


# -- other ways in ------------------------------------------------------------------------------------------------------------


def test_the_former_name() -> None:
    code = (
        "import warnings\nwith warnings.catch_warnings(record=True) as told:\n    warnings.simplefilter('always')\n"
        "    import cloud\n    cloud.files.putf(b'x', 'k'); print(cloud.files.list(), cloud.files.exists('k'), "
        "cloud.files.getf('k').read())\n    cloud.files.delete('k')\n"
        "print(cloud.files.list(), [one.category.__name__ for one in told])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.split("\n")[:2] == ["['k'] True b'x'", "[] ['DeprecationWarning']"], done.stderr
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from cloud import files
    assert set(files.__all__) == {*"put putf get getf list exists delete get_md5 sync_to_cloud sync_from_cloud".split()}


def test_importing_cloud_does_not_load_the_bucket() -> None:
    code = "import sys, cloud; print([n for n in sys.modules if n in ('cloud.bucket', 'cloud.files', 'mimetypes')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(done.stdout) == []
