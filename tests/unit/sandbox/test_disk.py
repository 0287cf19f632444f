"""The disk in use is counted with bounded work, whatever a job does with its files."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from picloud.sandbox import disk

SIZE = 1 << 20


def fill(path: Path, size: int = SIZE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    return path


def near(count: int, expected: int) -> bool:
    """Folders take a few blocks of their own."""
    return expected <= count <= expected + SIZE // 4


def test_files_of_all_folders_are_counted(tmp_path: Path) -> None:
    fill(tmp_path / "a" / "deep" / "er" / "one")
    fill(tmp_path / "b" / "two", 2 * SIZE)
    found = disk.used([tmp_path / "a", tmp_path / "b", tmp_path / "not there"])
    assert found.whole
    assert near(found.bytes, 3 * SIZE)


def test_a_folder_in_another_counts_once(tmp_path: Path) -> None:
    fill(tmp_path / "a" / "b" / "one")
    for folders in (["a", "a/b"], ["a/b", "a"], ["a", "a"]):
        assert near(disk.used([tmp_path / folder for folder in folders]).bytes, SIZE)


def test_links_lead_nowhere(tmp_path: Path) -> None:
    fill(tmp_path / "outside" / "big", 8 * SIZE)
    fill(tmp_path / "in" / "one")
    (tmp_path / "in" / "folder").symlink_to(tmp_path / "outside")
    (tmp_path / "in" / "file").symlink_to(tmp_path / "outside" / "big")
    (tmp_path / "in" / "self").symlink_to(".")
    assert near(disk.used([tmp_path / "in"]).bytes, SIZE)
    found = disk.used([tmp_path / "in" / "folder"])
    assert (found.bytes, found.whole) == (0, True)


def test_other_names_of_a_file_are_not_counted_again(tmp_path: Path) -> None:
    one = fill(tmp_path / "one")
    for number in range(5):
        os.link(one, tmp_path / f"name{number}")
    assert near(disk.used([tmp_path]).bytes, SIZE)


def test_holes_take_nothing(tmp_path: Path) -> None:
    with (tmp_path / "hole").open("wb") as file:
        file.truncate(1 << 40)
    assert disk.used([tmp_path]).bytes < SIZE


def test_a_bound_is_told_and_the_next_look_goes_on(tmp_path: Path) -> None:
    for number in range(300):
        (tmp_path / f"{number}").touch()
    for number in range(4):
        fill(tmp_path / f"d{number}" / "one")
    walk = disk.Walk([tmp_path])
    looks = [walk.look(entries=50) for _ in range(8)]
    assert not looks[0].whole
    ended = next(number for number, look in enumerate(looks) if look.whole)
    assert 4 <= ended <= 7
    assert near(looks[ended].bytes, 4 * SIZE)
    assert [look.bytes for look in looks[: ended + 1]] == sorted(look.bytes for look in looks[: ended + 1])
    again = walk.look(entries=10)
    assert not again.whole
    assert again.bytes == looks[ended].bytes  # the last whole count stands until the next one is through
    walk.close()
    assert disk.used([tmp_path], seconds=0).whole is False


def test_no_descriptor_stays_open(tmp_path: Path) -> None:
    fill(tmp_path / "a" / "b" / "c" / "one")
    before = sorted(os.listdir("/proc/self/fd"))
    walk = disk.Walk([tmp_path, tmp_path / "a"])
    walk.look(entries=2)
    walk.close()
    disk.used([tmp_path])
    assert len(os.listdir("/proc/self/fd")) == len(before)


def test_very_deep_folders_are_told(tmp_path: Path) -> None:
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(disk.DEPTH + 5):
        os.mkdir("d", dir_fd=here)
        inner = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(here)
    assert disk.used([tmp_path]).whole is False


def test_folders_that_change_meanwhile_are_survived(tmp_path: Path) -> None:
    fill(tmp_path / "outside" / "big", 8 * SIZE)
    work, stop = tmp_path / "work", threading.Event()
    fill(work / "stays")

    def churn() -> None:
        while not stop.is_set():
            for number in range(20):
                folder = work / f"d{number}"
                folder.mkdir()
                (folder / "file").touch()
            for number in range(20):
                folder = work / f"d{number}"
                (folder / "file").unlink()
                folder.rmdir()
                folder.symlink_to(tmp_path / "outside")
                folder.unlink()

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        for _ in range(100):
            assert near(disk.used([work]).bytes, SIZE)
    finally:
        stop.set()
        thread.join()
