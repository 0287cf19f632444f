from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from fake import Fake

from cloud import _submit
from cloud.job import Verbs
from picloud.wire.error import Unavailable
from picloud.wire.job import Options
from picloud.wire.message import Arguments, Code, Submit


def test_code_is_sent_once(jobs: Verbs, fake: Fake) -> None:
    def twice(x: int) -> int:
        return 2 * x

    assert jobs.result([jobs.call(twice, x) for x in range(3)]) == [0, 2, 4]
    fake.code.clear()  # the server forgot: it says so, and gets it again
    assert jobs.result(jobs.call(twice, 5)) == 10
    assert [path for _, path in fake.log].count("/v1/submission") == 5


def test_lost_answers_make_no_second_jobs(jobs: Verbs, fake: Fake) -> None:
    fake.cut = 1
    first = jobs.call(abs, -1)
    fake.cut, fake.busy = 1, 1
    jids = jobs.map(abs, range(3000))
    assert list(jids) == list(range(first + 1, first + 3001))
    assert len(fake.ends) == 3001
    assert jobs.result(jids)[-1] == 2999


def test_large_arguments_and_results_go_as_blobs(jobs: Verbs, fake: Fake) -> None:
    jid = jobs.call(lambda data, n: data * n, b"x" * 200_000, 2)
    assert jobs.result(jid) == b"x" * 400_000
    jids = jobs.map(len, [bytes(70_000 + n) if n % 2 else b"small" for n in range(20)])
    assert jobs.result(jids) == [70_000 + n if n % 2 else 5 for n in range(20)]
    assert len(fake.blobs) == 12


def test_uploads_happen_before_they_pile_up(jobs: Verbs, fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_submit, "UPLOAD_BYTES", 200_000)
    assert jobs.result(jobs.map(len, (bytes(100_000) for _ in range(7)))) == [100_000] * 7
    assert [path for _, path in fake.log].count("/v1/blob") == 4


def test_a_generator_takes_no_room(jobs: Verbs, fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    def forget(self: Fake, submit: Submit, first: int, arguments: Arguments) -> None:
        self.ends[first + len(arguments.ends) - 1] = None

    monkeypatch.setattr(Fake, "accept", forget)
    tracemalloc.start()
    try:
        jids = jobs.map(len, ("x" * 2000 for _ in range(20_000)))
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()
    assert len(jids) == 20_000


def test_an_error_of_the_iterable_tells_what_was_accepted(jobs: Verbs, fake: Fake) -> None:
    def items() -> Iterator[int]:
        yield from range(600)
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more") as caught:
        jobs.map(abs, items())
    assert "jobs 1-500 were accepted and run on" in caught.value.__notes__[0]
    assert len(fake.ends) == 500


def test_ctrl_c_in_a_map_says_how_to_go_on(jobs: Verbs, fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    def items() -> Iterator[int]:
        yield from range(600)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        jobs.map(abs, items())
    assert "cloud.result(range(1, 501)) waits for them, cloud.kill(range(1, 501)) ends them" in capsys.readouterr().err


def test_a_table_whose_length_is_not_how_many_items_it_gives(jobs: Verbs) -> None:
    class Frame:
        def __len__(self) -> int:
            return 2  # rows

        def __iter__(self) -> Iterator[int]:
            return iter([1, 2, 3])  # columns

    assert jobs.result(jobs.map(abs, Frame())) == [1, 2, 3]


def test_an_iterable_that_lied_about_its_length(jobs: Verbs) -> None:
    class Liar(list[int]):
        def __len__(self) -> int:
            return 9

    with pytest.raises(ValueError, match="said 9 items and gave 2"):
        jobs.map(abs, Liar([1, 2]))


def test_nothing_is_sent_when_something_is_wrong(jobs: Verbs, fake: Fake) -> None:
    for act in (lambda: jobs.call(3), lambda: jobs.call(abs), lambda: jobs.map(abs), lambda: jobs.map(abs, 3),
                lambda: jobs.map(abs, [1], y=1), lambda: jobs.call(abs, 1, _label=3),
                lambda: jobs.call(abs, 1, _nope=3)):  # fmt: skip
        with pytest.raises((TypeError, ValueError)):
            act()
    assert jobs.map(abs, []) == []
    assert jobs.map(max, {}, [], ()) == []
    assert fake.log == []


def test_core_types_are_checked_before_anything_is_sent(jobs: Verbs, fake: Fake) -> None:
    with pytest.raises(ValueError, match="c2: 2.5 units"):
        jobs.call(abs, 1, _type="c2", _cores=3)
    assert jobs.result(jobs.call(abs, 1, _type="c2", _cores=2)) == 1
    assert [path for _, path in fake.log].count("/v1/server") == 1


def test_no_server(fake: Fake, session: Any) -> None:
    fake.stop()
    session.link.patience = session.link.first_patience = 0.2
    with pytest.raises(Unavailable, match="picloud up"):
        Verbs(lambda: session).call(abs, 1)


def submit_of(data: bytes) -> tuple[Submit, list[Code]]:
    arguments = Arguments([len(data)], data, ["x"])
    code = Code("0" * 64, "function", b"\x8c\x20" + b"a1" * 16 + b"rest")
    return Submit(b"", "", [], "3.11", "f", Options(), 1, arguments), [code]


def test_tokens_of_a_repeated_attempt_are_the_same() -> None:
    first, again, other = _submit.Tokens(), _submit.Tokens(), _submit.Tokens()
    (submit, code), (changed, _) = submit_of(b"1"), submit_of(b"2")
    renamed = [Code("1" * 64, "function", b"\x8c\x20" + b"b2" * 16 + b"rest")]
    made = [first.make("7", "7.1", one, code) for one in (submit, submit, changed)]
    assert len(set(made)) == 3
    assert [again.make("7", "7.2", one, renamed) for one in (changed, submit, submit)] == [made[2], made[0], made[1]]
    assert other.make("8", "8.1", submit, code) not in made
    assert first.make("7", "7.2", submit, code) == made[0], "another attempt in the same process counts anew"
    assert first.make("", "", submit, code) != first.make("", "", submit, code)
