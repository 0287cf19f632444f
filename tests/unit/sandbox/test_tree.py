"""Whatever a job has built, it goes; and nothing beside it."""

import os
import subprocess
import sys
from pathlib import Path

from picloud.sandbox import tree

DEEP = 3000


def test_folders_deeper_than_a_path_is_long(tmp_path: Path) -> None:
    top = tmp_path / "top"
    top.mkdir()
    here = os.open(".", os.O_RDONLY)
    os.chdir(top)
    try:
        for _ in range(DEEP):
            os.mkdir("d")
            os.chdir("d")
        Path("file").write_text("x")
    finally:
        os.fchdir(here)
        os.close(here)
    assert tree.remove(str(top))
    assert os.listdir(tmp_path) == []


def test_links_are_not_followed(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").write_text("x")
    top = tmp_path / "top" / "a" / "b"
    top.mkdir(parents=True)
    for place in (tmp_path / "top", top):
        (place / "link").symlink_to(kept)
        (place / "file").symlink_to(kept / "file")
        os.mkfifo(place / "pipe")
    assert tree.remove(str(tmp_path / "top"))
    assert (kept / "file").read_text() == "x"
    (tmp_path / "link").symlink_to(kept)
    assert not tree.remove(str(tmp_path / "link"))
    assert (kept / "file").exists()


def test_nothing_to_remove(tmp_path: Path) -> None:
    assert tree.remove(str(tmp_path / "nothing"))


def test_closed_folders_of_ones_own(tmp_path: Path) -> None:
    inner = tmp_path / "top" / "closed" / "inner" / "more"
    inner.mkdir(parents=True)
    (inner / "file").write_text("x")
    for place in (inner, inner.parent, inner.parent.parent):
        place.chmod(0)
    assert tree.remove(str(tmp_path / "top"))


def test_emptied_the_folder_itself_stays(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").write_text("x")
    handle = os.open(tmp_path, os.O_RDONLY)
    tree.empty(handle, os.geteuid())
    os.close(handle)
    assert os.listdir(tmp_path) == []


def test_what_is_mounted_stays(tmp_path: Path) -> None:
    """A volume at the top, and one in a folder; whose they are does not matter."""
    script = f"""
import os
import subprocess
import sys
from picloud.sandbox import tree
top = {str(tmp_path)!r}
for place in ("volume", "folder/deep/volume"):
    os.makedirs(f"{{top}}/{{place}}")
    assert os.system(f"mount -t tmpfs none {{top}}/{{place}}") == 0
    open(f"{{top}}/{{place}}/kept", "w").close()
open(f"{{top}}/file", "w").close()
open(f"{{top}}/folder/file", "w").close()
handle = os.open(top, os.O_RDONLY)
tree.empty(handle, os.geteuid())
kept = [(folder, files) for folder, _, files in os.walk(top) if files]
assert len(kept) == 2 and all(files == ["kept"] for _, files in kept), kept
"""
    words = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"]), sys.executable, "-c", script]
    subprocess.run(words, check=True, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)})
