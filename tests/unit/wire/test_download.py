"""Links to objects are good for what was signed, until they end."""

import pytest

from picloud.wire.download import Link, check
from picloud.wire.error import Forbidden

SECRET = b"k" * 32
LINK = Link(7, "vol", "a b/ü.txt", 1000, True, "http://localhost:1")


def test_a_link_proves_what_was_signed() -> None:
    path = LINK.path(SECRET)
    assert path.endswith("/%C3%BC.txt")
    assert check(SECRET, path, 999.0) == LINK
    assert check(SECRET, path.rpartition("/")[0] + "/another-name", 999.0) == LINK


@pytest.mark.parametrize("now", [1001.0, 5000.0])
def test_it_ends(now: float) -> None:
    with pytest.raises(Forbidden, match="ended"):
        check(SECRET, LINK.path(SECRET), now)


def test_others_are_refused() -> None:
    mine, other = LINK.path(SECRET), Link(8, "", "b", 1000, False, "").path(b"j" * 32)
    swapped = other.partition(".")[0] + "." + mine.partition(".")[2]
    for path in (other, swapped, "/file/", "/file/x", "/file/x.y/z", mine.replace(".", "", 1), "/file/\xff.\xff/"):
        with pytest.raises(Forbidden, match="not one of ours"):
            check(SECRET, path, 0.0)
