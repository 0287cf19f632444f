"""The grant programme on both databases: calls, applications, awards that are never more than there are."""

from __future__ import annotations

from typing import Any

import pytest

from picloud.store import account as accounts
from picloud.store import blob
from picloud.store.award import application, call
from picloud.store.award.application import Application
from picloud.store.award.call import Asked, Call
from picloud.store.db import Database
from picloud.store.meter import credit
from picloud.wire.award import LONGEST_TEXT, MOST_FILES, Apply, Attached, State
from picloud.wire.error import BadRequest, CloudException, Conflict, NotFound
from picloud.wire.money import DOLLAR
from tests.contract.store.storekeeper import Keeper
from tests.contract.store.storepayer import FREE, Payer

DEADLINE = 1_000_000
WISH = Apply(name="Ann Example", institution="Example University", position="postdoc", biography="Cells.", research="Many cells.")


@pytest.fixture
def ann(db: Database) -> Keeper:
    made = Keeper(db)
    made.write(call.open_, Asked("autumn", DEADLINE, 2, 500 * DOLLAR), made.now)
    return made


def of(keeper: Keeper, name: str) -> int:
    return int(keeper.write(accounts.create, name, keeper.now))


def send(keeper: Keeper, account: int, asked: Apply = WISH, now: int = 0, sizes: dict[str, int] | None = None) -> Application:
    made: Application = keeper.write(application.apply, account, asked, sizes or {}, 0, now or keeper.tick())
    return made


def the_call(keeper: Keeper) -> Call:
    (found,) = keeper.read(call.every, keeper.now)
    assert isinstance(found, Call)
    return found


def test_two_of_three_applicants_win(ann: Keeper) -> None:
    sent = [send(ann, of(ann, name)) for name in ("bob", "carol", "dora")]
    assert [one.state for one in sent] == [State.sent] * 3 and the_call(ann).applications == 3
    for one in sent[:2]:
        won = ann.write(application.award, one.id, "well done", "root", ann.tick())
        assert (won.state, won.note, won.decided) == (State.awarded, "well done", ann.now)
        (grant,) = ann.read(credit.standing, won.account, ann.now, FREE).grants
        assert (grant.id, grant.amount, grant.reason, grant.author) == (won.credit, 500 * DOLLAR, "award: autumn", "root")
    with pytest.raises(Conflict, match="all 2 awards"):
        ann.write(application.award, sent[2].id, "", "root", ann.tick())
    lost = ann.write(application.decline, sent[2].id, "next time", ann.tick())
    assert (lost.state, lost.note, lost.credit) == (State.declined, "next time", 0)
    assert not ann.read(credit.standing, lost.account, ann.now, FREE).grants
    assert [one.note for one in ann.read(application.own, lost.account)] == ["next time"]
    assert (the_call(ann).given, the_call(ann).awards) == (2, 2)


def test_five_hundred_dollars_are_ten_thousand_c1_hours(db: Database) -> None:
    payer = Payer(db)
    payer.write(call.open_, Asked("autumn", DEADLINE, 1, 500 * DOLLAR), payer.now)
    won = payer.write(application.award, send(payer, payer.account).id, "", "root", payer.tick())
    assert won.amount == 10_000 * 3_600_000 * payer.price
    assert payer.standing().left == FREE + won.amount


def test_an_award_is_given_once_however_often_it_is_asked(ann: Keeper) -> None:
    sent = send(ann, of(ann, "bob"))
    first = ann.write(application.award, sent.id, "yes", "root", ann.tick())
    again = ann.write(application.award, sent.id, "yes, again", "other", ann.tick())
    assert again == first
    assert len(ann.read(credit.standing, sent.account, ann.now, FREE).grants) == 1
    with pytest.raises(Conflict, match="awarded"):
        ann.write(application.decline, sent.id, "", ann.tick())


def test_admins_at_once_give_no_more_than_there_is(ann: Keeper, other: Database) -> None:
    sent = [send(ann, of(ann, name)) for name in ("bob", "carol", "dora", "eve", "fay")]

    def award(number: int) -> Any:
        def work(db: Database) -> Any:
            return db.write(application.award, number, "", "root", ann.now)

        return work

    asked = [award(one.id)(where) for one in sent for where in (ann.db, other)]
    for answer in asked:
        error = answer.exception(20)
        assert error is None or isinstance(error, Conflict), error
    grants = [len(ann.read(credit.standing, one.account, ann.now, FREE).grants) for one in sent]
    states = [one.state for one in ann.read(application.listing, "autumn", ann.now)]
    assert sorted(grants) == [0, 0, 0, 1, 1] and states.count(State.awarded) == the_call(ann).given == 2


def test_an_application_can_be_changed_and_withdrawn_until_it_is_decided(ann: Keeper) -> None:
    bob = of(ann, "bob")
    sent = send(ann, bob)
    changed = send(ann, bob, Apply(position=" professor "))
    assert (changed.id, changed.position, changed.biography) == (sent.id, "professor", "Cells.")
    for _ in range(2):
        assert ann.write(application.withdraw, bob, "autumn", ann.tick()).state == State.withdrawn
    for act, more in ((application.award, ("", "root")), (application.decline, ("",))):
        with pytest.raises(Conflict, match="withdrawn"):
            ann.write(act, sent.id, *more, ann.tick())
    assert the_call(ann).applications == 0
    assert send(ann, bob, Apply()).state == State.sent
    assert ann.write(application.decline, sent.id, "no", ann.tick()).state == State.declined
    for act in (lambda: send(ann, bob), lambda: ann.write(application.withdraw, bob, "", ann.tick())):
        with pytest.raises(Conflict, match="declined"):
            act()
    assert ann.write(application.award, sent.id, "after all", "root", ann.tick()).state == State.awarded


def test_after_the_deadline_or_the_close_nothing_comes_or_changes(ann: Keeper) -> None:
    bob, carol = of(ann, "bob"), of(ann, "carol")
    sent = send(ann, bob, now=DEADLINE - 1)
    for late in (lambda: send(ann, carol, Apply("autumn"), DEADLINE), lambda: send(ann, bob, Apply("autumn"), DEADLINE),
                 lambda: ann.write(application.withdraw, bob, "autumn", DEADLINE)):  # fmt: skip
        with pytest.raises(Conflict, match="closed"):
            late()
    with pytest.raises(NotFound, match="no call is open"):
        send(ann, carol, WISH, DEADLINE)
    for now in (5_000, 6_000):
        ann.write(call.close, "autumn", now)
    assert the_call(ann).closed == 5_000 and not the_call(ann).open
    with pytest.raises(Conflict, match="closed"):
        send(ann, carol, Apply("autumn"), 5_001)
    assert ann.write(application.award, sent.id, "", "root", DEADLINE + 9).state == State.awarded


def test_which_call_need_be_said_only_where_several_are_open(ann: Keeper) -> None:
    ann.write(call.open_, Asked("spring", DEADLINE, 1, DOLLAR), ann.now)
    bob = of(ann, "bob")
    with pytest.raises(BadRequest, match="several"):
        send(ann, bob)
    for name in ("spring", "autumn"):
        send(ann, bob, Apply(name, *[getattr(WISH, field) for field in WISH.__struct_fields__[1:]]))
    assert [one.call for one in ann.read(application.own, bob)] == ["autumn", "spring"]


@pytest.mark.parametrize(
    "wish",
    [
        {"name": ""},
        {"name": "x" * 201},
        {"name": "two\nlines"},
        {"institution": "\x1b[2Jcleared"},
        {"position": "\0"},
        {"research": " \n "},
        {"research": "x" * (LONGEST_TEXT + 1)},
        {"biography": "bell \a"},
        {"biography": "turned \u202e round"},
        {"attachments": [Attached(f"{n}.txt", "f") for n in range(MOST_FILES + 1)]},
        {"attachments": [Attached("../x", "f")]},
        {"attachments": [Attached(".bashrc", "f")]},
        {"attachments": [Attached("a", "f"), Attached("a", "f")]},
        {"attachments": [Attached("large", "large")]},
    ],
)
def test_bad_applications_are_refused_whole(ann: Keeper, wish: dict[str, Any]) -> None:
    bob = of(ann, "bob")
    fields = {name: getattr(WISH, name) for name in WISH.__struct_fields__} | wish
    with pytest.raises(BadRequest):
        send(ann, bob, Apply(**fields), sizes={"f": 1, "large": 1 << 30})
    assert not ann.read(application.own, bob)


def test_text_stays_text(ann: Keeper) -> None:
    text = "<script>alert(1)</script>\r\n\tO'Hara; DROP TABLE application; -- \U0001f52c"
    assert send(ann, of(ann, "bob"), Apply(*["", "n", "i", "p", text, text])).research == text.replace("\r\n", "\n")


@pytest.mark.parametrize(
    "asked",
    [
        Asked("", DEADLINE, 1, DOLLAR), Asked("x" * 101, DEADLINE, 1, DOLLAR), Asked("a\nb", DEADLINE, 1, DOLLAR),
        Asked("late", 999, 1, DOLLAR), Asked("never", 1 << 60, 1, DOLLAR), Asked("none", DEADLINE, 0, DOLLAR),
        Asked("many", DEADLINE, 10**6, DOLLAR), Asked("free", DEADLINE, 1, 0), Asked("dear", DEADLINE, 1, 1 << 62),
        Asked("short", DEADLINE, 1, DOLLAR, DEADLINE),
    ],
)  # fmt: skip
def test_bad_calls_are_refused(ann: Keeper, asked: Asked) -> None:
    with pytest.raises(BadRequest):
        ann.write(call.open_, asked, ann.now)
    with pytest.raises(Conflict):
        ann.write(call.open_, Asked(" autumn ", DEADLINE, 1, DOLLAR), ann.now)
    assert len(ann.read(call.every, ann.now)) == 1


def test_what_is_attached_belongs_to_the_application(ann: Keeper) -> None:
    bob, eve = of(ann, "bob"), of(ann, "eve")
    (plan,) = ann.write(blob.new, bob, [3], ann.now)
    ann.write(blob.arrived, plan, 3, ann.now)
    with pytest.raises(NotFound):  # somebody else's bytes
        send(ann, eve, Apply("autumn", *["x"] * 5, [Attached("plan.pdf", plan)]), sizes={plan: 3})
    assert not ann.read(application.own, eve)
    sent = send(ann, bob, Apply("autumn", *["x"] * 5, [Attached("plan.pdf", plan)]), sizes={plan: 3})
    assert ann.read(application.file, sent.id, "plan.pdf") == ("plan.pdf", 3, plan)
    assert send(ann, bob, Apply(name="Bob")).files == sent.files
    far = ann.now + 10**9
    for _ in range(2):
        assert ann.write(blob.sweep, far, far) == (0, []), "bytes of an application are never swept"
    assert plan in dict(ann.read(blob.named))
    assert send(ann, bob, Apply(attachments=[])).files == []
    assert ann.write(blob.sweep, far, far)[0] == 1
    for number, name in ((sent.id, "plan.pdf"), (sent.id + 1, "plan.pdf"), (-1, "x"), (1 << 62, "x")):
        with pytest.raises(NotFound):
            ann.read(application.file, number, name)


def test_nobody_is_told_of_what_is_not_there(ann: Keeper) -> None:
    bob = of(ann, "bob")
    for act in (
        lambda: ann.write(application.award, 7, "", "root", ann.now),
        lambda: ann.write(application.decline, 1 << 62, "", ann.now),
        lambda: ann.write(application.withdraw, bob, "autumn", ann.now),
        lambda: ann.read(application.listing, "winter\0", ann.now),
        lambda: ann.write(call.close, "winter", ann.now),
    ):
        with pytest.raises(CloudException) as told:
            act()
        assert isinstance(told.value, NotFound)
