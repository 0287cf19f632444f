"""Fetched code stays below its bound, the least recently used goes, and what jobs in hand need stays."""

from pathlib import Path

from picloud.wire.job import Options
from picloud.wire.message import Spec
from picloud.worker.shelf import Shelf, size


def spec_of(submission: int, function: str, modules: list[str]) -> Spec:
    return Spec(submission, 1, function, modules, "f", Options())


def fetched(shelf: Shelf, spec: Spec) -> list[Path]:
    places = [place for _, place in shelf.places(spec)]
    for place in places:
        if place.suffix == ".pkl":
            place.write_bytes(bytes(100))
        else:
            (place / "package").mkdir(parents=True)
            (place / "package" / "module.py").write_bytes(bytes(100))
    shelf.note(spec, {place: size(place) for place in places})
    return places


def test_what_was_not_used_for_longest_goes(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, room=400)
    old, new = spec_of(1, "a" * 64, ["b" * 64]), spec_of(2, "c" * 64, ["d" * 64])
    first = fetched(shelf, old)
    assert not shelf.full
    second = fetched(shelf, new)
    assert not shelf.full  # 400 bytes fit
    extra = fetched(shelf, spec_of(3, "e" * 64, []))
    assert shelf.full
    shelf.trim([old, new], [])
    assert [place.exists() for place in [*extra, *first, *second]] == [False, False, False, True, True]
    assert (shelf.holds(old), shelf.holds(new)) == (False, True)
    assert sorted(tmp_path.iterdir()) == sorted(second)


def test_code_of_jobs_in_hand_stays_also_where_it_is_shared(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, room=10)
    held, other = spec_of(1, "a" * 64, ["b" * 64]), spec_of(2, "c" * 64, ["b" * 64])
    kept = fetched(shelf, held)
    _, gone = shelf.places(other)[0]
    gone.write_bytes(bytes(50))
    shelf.note(other, {gone: 50})
    shelf.trim([held, other], [held])
    assert all(place.exists() for place in kept)
    assert not gone.exists()
    assert shelf.holds(held)
    assert not shelf.holds(other)
