"""The bucket and volumes in a browser: what goes up, how it is looked at, moved, shown to everybody and removed."""

from __future__ import annotations

import hashlib
import json
import struct
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

import cloud
from cloud import bucket
from tests.browser.screen import Screen, accessible, fits

pytestmark = [pytest.mark.slow, pytest.mark.live]
LONG = "long " * 39 + ".txt"
HOSTILE = ["<img src=x onerror=alert(1)>.txt", "what?#100%20%2F & ü.txt", "line\nbreak.txt", LONG]
PART = 16 << 20


@pytest.fixture(autouse=True)
def nothing_stored(server: object) -> Iterator[None]:
    """What a test has stored is gone after it."""
    yield
    for one in bucket.list(folderize=True):
        bucket.remove_prefix(one) if one.endswith("/") else bucket.remove(one)
    for volume in cloud.volume.get_list():
        cloud.volume.delete(volume["name"])


@pytest.fixture
def put(tmp_path: Path) -> Callable[[str, bytes], None]:
    """Stores bytes under a key."""

    def store(key: str, data: bytes) -> None:
        (tmp_path / "stored").write_bytes(data)
        bucket.put(str(tmp_path / "stored"), key)

    return store


def more(page: Page, name: str, what: str) -> None:
    """Choose something from the menu of a file."""
    page.get_by_role("button", name=f"More for {name}", exact=True).click()
    page.get_by_role("menuitem", name=what, exact=True).click()


def test_an_empty_bucket_teaches_and_takes_files(screen: Screen, tmp_path: Path) -> None:
    page = screen.open("/bucket")
    expect(page.get_by_text("picloud bucket put")).to_be_visible()
    (tmp_path / "a.txt").write_text("first")
    page.get_by_label("Files to upload").set_input_files(tmp_path / "a.txt")
    expect(page.get_by_role("link", name="a.txt")).to_be_visible()
    expect(page.get_by_text("1 file uploaded")).to_be_visible()
    (tmp_path / "a.txt").write_text("second")
    page.get_by_label("Files to upload").set_input_files(tmp_path / "a.txt")
    page.get_by_role("button", name="Replace", exact=True).click()
    expect(page.get_by_text("2 files uploaded")).to_be_visible()
    bucket.get("a.txt", str(tmp_path / "back"))
    assert (tmp_path / "back").read_text() == "second"


def test_a_large_file_goes_in_parts_and_a_part_that_failed_again(screen: Screen, tmp_path: Path) -> None:
    data = bytes(range(256)) * ((2 * PART + 1000) // 256)
    (tmp_path / "large.bin").write_bytes(data)
    page = screen.open("/bucket")
    parts = []

    def part(route: Route) -> None:
        if route.request.method == "PUT":
            parts.append(route.request.url)
        route.abort() if len(parts) == 1 and route.request.method == "PUT" else route.continue_()

    page.route("**/blob/**", part)
    page.get_by_label("Files to upload").set_input_files(tmp_path / "large.bin")
    expect(page.get_by_role("link", name="large.bin")).to_be_visible()
    assert len(parts) == 4  # three parts, one of them twice
    page.get_by_role("link", name="large.bin").click()
    page.get_by_role("button", name="Compute").click()
    expect(page.get_by_text(hashlib.md5(data).hexdigest())).to_be_visible()


def test_what_is_dropped_goes_into_the_folder_that_is_shown(screen: Screen, put: Callable[[str, bytes], None]) -> None:
    put("data/there.txt", b"x")
    page = screen.open("/bucket?folder=data/")
    expect(page.get_by_role("link", name="there.txt")).to_be_visible()
    page.evaluate("""() => {
        const data = new DataTransfer()
        data.items.add(new File(['one'], 'dropped.txt', {type: 'text/plain'}))
        dispatchEvent(new DragEvent('drop', {dataTransfer: data, cancelable: true}))
    }""")
    expect(page.get_by_role("link", name="dropped.txt")).to_be_visible()
    assert bucket.exists("data/dropped.txt")


def test_files_and_folders_are_renamed_moved_copied_and_deleted(screen: Screen, put: Callable[[str, bytes], None]) -> None:
    for key in ("data/a.txt", "data/b.txt", "c.txt"):
        put(key, b"some")
    page = screen.open("/bucket")
    page.get_by_role("button", name="New folder").click()
    page.get_by_role("textbox", name="Name", exact=True).fill("papers")
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("link", name="papers")).to_be_visible()
    more(page, "c.txt", "Rename")
    page.get_by_role("textbox", name="New name").fill("d.txt")
    page.get_by_role("button", name="Rename", exact=True).click()
    expect(page.get_by_role("link", name="d.txt")).to_be_visible()
    more(page, "d.txt", "Move")
    page.get_by_role("list", name="Folders").get_by_role("button", name="papers").click()
    page.get_by_role("button", name="Move here").click()
    expect(page.get_by_role("link", name="d.txt")).to_have_count(0)
    page.get_by_role("checkbox", name="Choose data").check()
    page.get_by_role("toolbar").get_by_role("button", name="Copy").click()
    page.get_by_role("textbox", name="Folder").fill("papers/old")
    page.get_by_role("button", name="Copy here").click()
    expect(page.get_by_text("2 files copied")).to_be_visible()
    page.get_by_role("link", name="papers").click()
    expect(page.get_by_role("link", name="d.txt")).to_be_visible()
    assert sorted(bucket.list("papers")) == ["papers/d.txt", "papers/old/data/a.txt", "papers/old/data/b.txt"]
    more(page, "old", "Delete")
    expect(page.get_by_role("dialog").get_by_text("2 files")).to_be_visible()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("link", name="old")).to_have_count(0)
    page.get_by_role("navigation", name="Folders above").get_by_role("link", name="All files").click()
    expect(page.get_by_role("link", name="data")).to_be_visible()
    assert sorted(bucket.list()) == ["data/a.txt", "data/b.txt", "papers/d.txt"]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_hostile_names_are_names_and_text_is_text(screen: Screen, put: Callable[[str, bytes], None], dark: bool) -> None:
    for name in HOSTILE:
        put(f"odd %2F?#/{name}", b"<script>alert('it ran')</script>")
    page = screen.open("/bucket", dark=dark, narrow=dark)
    page.get_by_role("link", name="odd %2F?#").click()
    for name in HOSTILE:
        page.get_by_role("link", name=name.replace("\n", "↵"), exact=True).click()
        expect(page.get_by_label("Content", exact=True)).to_have_text("<script>alert('it ran')</script>")
        fits(page)
        page.get_by_role("button", name="Close", exact=True).click()
        expect(page.get_by_role("dialog")).to_have_count(0)
    fits(page)
    accessible(page)


def picture() -> bytes:
    """A PNG of 4 x 4 points."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = zlib.compress((b"\0" + b"\xff\0\0" * 4) * 4)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 4, 8, 2, 0, 0, 0))
        + chunk(b"IDAT", rows)
        + chunk(b"IEND", b"")
    )


def test_tables_values_and_pictures_are_shown(screen: Screen, put: Callable[[str, bytes], None]) -> None:
    put("t.csv", b'name,"a, b"\n"say ""hi""\nthere",2\n' + b"more,3\n" * 300)
    put("v.json", json.dumps({"deep": [1, {"x": None}]}).encode())
    put("p.png", picture())
    put("b.bin", bytes(range(256)))
    page = screen.open("/bucket?file=t.csv")
    sheet = page.get_by_role("group", name="Content as a table")
    expect(sheet.get_by_role("columnheader", name="a, b")).to_be_visible()
    expect(sheet.get_by_role("cell").first).to_have_text('say "hi"\nthere')
    expect(page.get_by_text("The first 200 rows.")).to_be_visible()
    accessible(page)
    page.goto("/bucket?file=v.json")
    expect(page.get_by_label("Content", exact=True)).to_contain_text('{\n  "deep": [\n    1,')
    page.goto("/bucket?file=b.bin")
    expect(page.get_by_text("There is no preview of such files")).to_be_visible()
    page.goto("/bucket?file=p.png")
    shown = page.get_by_role("img", name="Content of p.png")
    expect(shown).to_be_visible()
    page.wait_for_function("document.querySelector('img[alt=\"Content of p.png\"]').naturalWidth === 4")
    with page.expect_download() as saved:
        page.get_by_role("button", name="Download").click()
    assert saved.value.suggested_filename == "p.png" and Path(saved.value.path()).read_bytes() == picture()


def test_what_is_public_is_got_by_everybody_until_it_is_private(screen: Screen, put: Callable[[str, bytes], None]) -> None:
    put("open.txt", b"for all")
    page = screen.open("/bucket?file=open.txt")
    page.get_by_role("button", name="Make public").click()
    page.get_by_role("dialog", name="Make it public?").get_by_role("button", name="Make public").click()
    link = page.get_by_role("link", name="/public/")
    expect(link).to_be_visible()
    url = link.get_attribute("href") or ""
    with urllib.request.urlopen(url, timeout=60) as answer:
        assert answer.read() == b"for all"
    page.get_by_role("button", name="Make private").click()
    expect(link).to_have_count(0)
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(url, timeout=60)


def test_a_volume_is_made_browsed_by_pages_and_deleted(screen: Screen, tmp_path: Path) -> None:
    page = screen.open("/volumes")
    expect(page.get_by_text("picloud volume create")).to_be_visible()
    page.get_by_role("button", name="New volume").click()
    page.get_by_role("textbox", name="Name").fill("models")
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("cell", name="/home/picloud/models")).to_be_visible()
    (tmp_path / "many").mkdir()
    for number in range(450):
        (tmp_path / f"many/{number:03}").write_text("x")
    cloud.volume.sync(f"{tmp_path}/many", "models:")
    page.get_by_role("link", name="models").click()
    page.get_by_role("link", name="many").click()
    expect(page.get_by_role("link", name="000", exact=True)).to_be_visible()
    expect(page.get_by_role("row")).to_have_count(201)
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_role("link", name="200", exact=True)).to_be_visible()
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_role("link", name="449", exact=True)).to_be_visible()
    expect(page.get_by_role("row")).to_have_count(51)
    page.get_by_role("button", name="Previous").click()
    expect(page.get_by_role("link", name="200", exact=True)).to_be_visible()
    page.goto("/volumes")
    expect(page.get_by_role("row").filter(has_text="models")).to_contain_text("450")
    accessible(page)
    more(page, "models", "Delete")
    page.get_by_label('Type "models" to go on').fill("models")
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_text("No volumes yet")).to_be_visible()


def test_an_upload_is_cancelled(screen: Screen, tmp_path: Path) -> None:
    (tmp_path / "slow.bin").write_bytes(b"x" * 1000)
    page = screen.open("/bucket")
    page.route("**/v1/bucket/slow.bin*", lambda route: None)  # it never answers
    page.get_by_label("Files to upload").set_input_files(tmp_path / "slow.bin")
    page.get_by_role("button", name="Cancel the upload of slow.bin").click()
    expect(page.get_by_label("Uploads").get_by_text("stopped")).to_be_visible()
    page.unroute_all()
    page.get_by_role("button", name="Again").click()
    expect(page.get_by_role("link", name="slow.bin")).to_be_visible()
