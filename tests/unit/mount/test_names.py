"""What is known of names: each event makes it true again, or unsure, and never wrong."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from picloud.mount.names import Names
from picloud.wire.object import Event, Listing, Object


class Answers:
    """A server whose names are these, and which counts what it is asked."""

    def __init__(self, *keys: str) -> None:
        self.keys = {key: n for n, key in enumerate(keys, 1)}
        self.asked: list[str] = []
        self.meanwhile: list[Event] = []
        self.names: Names | None = None

    def object(self, key: str, version: int = 1) -> Object:
        return Object(key, self.keys[key], version, 1, 1, 1)

    def find(self, key: str) -> Object | None:
        self.asked.append(key)
        if key in self.keys:
            return self.object(key)
        folder = any(one.startswith(f"{key}/") for one in self.keys)
        return Object(f"{key}/", 0, 0, 0, 1, 1) if folder else None

    def pages(self, folder: str, first: int = 10_000) -> Iterator[Listing]:
        self.asked.append(f"{folder}/*")
        start = f"{folder}/" if folder else ""
        found = {}
        for key in sorted(self.keys):
            if key.startswith(start):
                name, slash, _ = key[len(start) :].partition("/")
                found[name] = Object(f"{start}{name}/", 0, 0, 0, 1, 1) if slash else self.object(key)
        some = list(found.values())
        if self.names is not None:
            self.names.apply(self.meanwhile)
        yield Listing(some[:first], len(some) > first)
        if len(some) > first:
            yield Listing(some[first:], False)


def known(*keys: str) -> tuple[Names, Answers]:
    answers = Answers(*keys)
    names = Names(answers)  # type: ignore[arg-type]
    names.reset(live=True)
    return names, answers


def shown(names: Names, folder: str = "") -> list[str]:
    return sorted(one.key for one in names.all(folder))


def put(answers: Answers, key: str, version: int = 1) -> Event:
    number = answers.keys.setdefault(key, max(answers.keys.values(), default=0) + 1)
    return Event(key, answers.object(key, version), number)


def gone(answers: Answers, key: str, kept: bool = True) -> Event:
    return Event(key, None, answers.keys.pop(key), kept)


def test_a_folder_is_asked_for_once() -> None:
    names, answers = known("a", "d/b")
    assert names.look("", "a") == answers.object("a") and names.look("", "none") is None
    assert names.look("", "d").key == "d/" and shown(names) == ["a", "d/"]  # type: ignore[union-attr]
    assert answers.asked == ["/*"]


def test_without_the_stream_everything_is_asked() -> None:
    names, answers = known("a")
    names.reset(live=False)
    for _ in range(2):
        assert names.look("", "a") is not None and shown(names) == ["a"]
    assert answers.asked == ["a", "/*", "a", "/*"]


def test_events_change_what_is_known_without_a_question() -> None:
    names, answers = known("a", "b")
    shown(names)
    names.apply([put(answers, "c"), put(answers, "a", 2), gone(answers, "b")])
    assert shown(names) == ["a", "c"] and names.look("", "a").version == 2  # type: ignore[union-attr]
    assert answers.asked == ["/*"]


def test_an_older_version_changes_nothing() -> None:
    names, answers = known("a")
    shown(names)
    names.apply([put(answers, "a", 3), put(answers, "a", 2)])
    assert names.look("", "a").version == 3  # type: ignore[union-attr]


def test_a_creation_that_comes_after_its_removal_is_asked() -> None:
    names, answers = known("a")
    shown(names)
    made = put(answers, "b")
    names.apply([gone(answers, "b"), made])
    assert names.look("", "b") is None and answers.asked[-1] == "b"


def test_a_key_that_became_another_object_is_asked() -> None:
    names, answers = known("a", "b")
    shown(names)
    answers.keys = {"a": 2}  # b was renamed over a
    names.apply([Event("b", None, 2, True), Event("a", answers.object("a"), 2)])
    assert names.look("", "a").id == 2 and names.look("", "b") is None  # type: ignore[union-attr]
    assert answers.asked == ["/*", "a"]


def test_what_may_have_come_is_asked() -> None:
    names, answers = known("a", "d/b")
    shown(names)
    answers.keys["copy"] = 9
    names.apply([Event("copy"), Event("copy/"), Event("d"), Event("d/")])
    assert shown(names) == ["a", "copy", "d/"]


def test_a_new_key_makes_the_folders_around_it() -> None:
    names, answers = known("a")
    shown(names)
    names.apply([put(answers, "d/e/f")])
    assert names.look("", "d").key == "d/" and names.look("d", "e").key == "d/e/"  # type: ignore[union-attr]


def test_a_folder_that_may_have_gone_is_asked() -> None:
    names, answers = known("d/a", "d/b")
    shown(names), shown(names, "d")
    names.apply([gone(answers, "d/a", kept=False)])
    assert shown(names) == ["d/"] and shown(names, "d") == ["d/b"]
    names.apply([gone(answers, "d/b", kept=False)])
    assert shown(names) == []


def test_a_change_of_a_whole_folder_forgets_all_below() -> None:
    names, answers = known("d/e/a", "x/b")
    for folder in ("", "d", "d/e", "x"):
        shown(names, folder)
    answers.keys = {"moved/e/a": 1, "x/b": 2}
    names.apply([Event("d/", kept=True), Event("moved/", kept=True)])
    assert shown(names) == ["moved/", "x/"] and shown(names, "moved/e") == ["moved/e/a"]
    assert names.look("d", "e") is None
    asked = len(answers.asked)
    assert shown(names, "x") == ["x/b"] and len(answers.asked) == asked


def test_what_changes_while_it_is_asked_for_is_not_believed() -> None:
    names, answers = known("d/a")
    answers.names, answers.meanwhile = names, [Event("d/b", None, 9, True)]
    assert shown(names, "d") == ["d/a"]
    answers.meanwhile = []
    answers.keys["d/b"] = 9
    assert shown(names, "d") == ["d/a", "d/b"]


def test_large_folders_are_known_name_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("picloud.mount.names.FIRST", 2)
    names, answers = known("a", "b", "c", "d")
    assert [names.look("", name) is not None for name in ("a", "d", "d", "none", "none")] == [True] * 3 + [False] * 2
    assert answers.asked == ["/*", "d", "none"]
    names.apply([put(answers, "none"), gone(answers, "d")])
    assert names.look("", "none") is not None and names.look("", "d") is None
    assert shown(names) == ["a", "b", "c", "none"]


def test_no_more_is_kept_than_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("picloud.mount.names.MOST", 3)
    names, answers = known("d/a", "d/b", "e/a", "e/b")
    for _ in range(2):
        assert len(shown(names, "d")) == 2 and len(shown(names, "e")) == 2
    assert answers.asked == ["d/*", "e/*", "d/*", "e/*"]
