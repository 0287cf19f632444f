"""The pages of queues: pipelines drawn live, what a handler does, messages, dead letters."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

import cloud
from tests.browser.screen import Screen, accessible, fits

pytestmark = [pytest.mark.slow, pytest.mark.live]
HOSTILE = "<img src=x onerror=alert(1)>"
LONG = "n" * 200


def double(x: int) -> int:
    if x < 0:
        raise ValueError(HOSTILE)
    return 2 * x


@pytest.fixture
def queues(server: Any) -> Iterator[None]:
    """None is left of what a test has made."""
    yield
    for queue in cloud.queue.list():
        queue.delete()


def drawn(page: Page) -> Any:
    return page.get_by_role("group", name="Graph of the pipelines")


def row(page: Page, name: str) -> Any:
    return page.get_by_role("table", name="Queues").get_by_role("row").filter(has=page.get_by_role("link", name=name, exact=True))


def test_a_pipeline_is_drawn_by_itself_and_its_figures_move(screen: Screen, queues: None) -> None:
    page = screen.open("/queues")
    expect(page.get_by_text("No queues yet")).to_be_visible()
    source, sink, bad = (cloud.queue.get(f"drawn-{name}") for name in ("in", "out", "bad"))
    source.attach(double, sink, on_error={ValueError: {"queue": bad}})
    expect(drawn(page).get_by_title("drawn-in", exact=True)).to_be_visible()
    expect(drawn(page).get_by_title(re.compile("^double: "))).to_be_visible()
    expect(drawn(page).get_by_title("ValueError")).to_be_visible()
    assert page.locator(".react-flow__edge").count() == 3
    source.push([*range(7), -1])
    expect(drawn(page).get_by_title("drawn-out", exact=True)).to_contain_text(re.compile(r"\b7"))
    expect(drawn(page).get_by_title("drawn-bad", exact=True)).to_contain_text(re.compile(r"\b1"))
    expect(row(page, "drawn-out")).to_contain_text("no handler")
    expect(row(page, "drawn-in")).to_contain_text("double")
    drawn(page).get_by_title("drawn-out", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/queues/drawn-out$"))
    expect(page.get_by_role("heading", level=1)).to_have_text("drawn-out")


def test_a_handler_is_paused_resized_and_detached(screen: Screen, queues: None) -> None:
    source, sink = cloud.queue.get("acts-in"), cloud.queue.get("acts-out")
    source.attach(double, sink)
    page = screen.open("/queues/acts-in")
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_text("paused", exact=True)).to_be_visible()
    assert source.info()["paused"]
    page.get_by_role("button", name="Push a message").click()
    page.get_by_label("JSON").fill("[21, 12345678901234567890")
    expect(page.get_by_role("button", name="Push", exact=True)).to_be_disabled()
    page.get_by_label("JSON").fill("[21, 12345678901234567890]")
    page.get_by_label("A list: each of its elements").check()
    page.get_by_role("button", name="Push", exact=True).click()
    waiting = page.get_by_role("table", name="Next messages")
    waiting.get_by_role("button", name="21").click()
    expect(page.get_by_role("dialog").get_by_label("The message")).to_have_text("21")
    page.keyboard.press("Escape")
    page.get_by_role("textbox", name="Most jobs at once").fill("3")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("The number of jobs is changed")).to_be_visible()
    assert source.info()["handler"]["max_parallel_jobs"] == 3
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_text("The queue is empty")).to_be_visible()
    assert sorted(gathered(sink, 2)) == [42, 24691357802469135780]
    page.get_by_role("button", name="Detach").click()
    page.get_by_role("dialog").get_by_role("button", name="Detach").click()
    expect(page.get_by_text("No handler", exact=True)).to_be_visible()
    assert source.info()["handler"] is None
    expect(page.get_by_role("table", name="Versions of the handler")).to_contain_text("double")


def gathered(queue: Any, count: int) -> list[Any]:
    found: list[Any] = []
    while len(found) < count:
        found += queue.pop()
    return found


def test_dead_letters_tell_why_and_go_back_or_away(screen: Screen, queues: None) -> None:
    source = cloud.queue.get("dying")
    source.attach(double, cloud.queue.get("never"))
    source.push([-1, -2, -3])
    page = screen.open("/queues/dying")
    letters = page.get_by_role("table", name="Dead letters")
    expect(letters.get_by_role("row")).to_have_count(4)
    expect(letters).to_contain_text(HOSTILE)
    letters.get_by_role("button").first.click()
    expect(page.get_by_role("dialog").get_by_label("Traceback")).to_contain_text("raise ValueError")
    page.keyboard.press("Escape")
    source.detach()
    letters.get_by_role("checkbox", name=re.compile("^Choose dead letter")).first.check()
    page.get_by_role("toolbar").get_by_role("button", name="Replay").click()
    expect(page.get_by_text("1 message put back into the queue")).to_be_visible()
    expect(letters.get_by_role("row")).to_have_count(3)
    assert source.count() == 1
    page.get_by_role("button", name="Discard all").click()
    page.get_by_role("dialog").get_by_role("button", name="Discard").click()
    expect(page.get_by_text("No dead letters")).to_be_visible()
    assert not source.dead()


def test_a_queue_is_purged_and_deleted_only_if_one_means_it(screen: Screen, queues: None) -> None:
    queue = cloud.queue.get("going")
    queue.push(["a", "b"])
    page = screen.open("/queues/going")
    page.get_by_role("button", name="More actions").click()
    page.get_by_role("menuitem", name="Purge").click()
    page.get_by_role("dialog").get_by_role("button", name="Purge").click()
    expect(page.get_by_text("2 messages are removed")).to_be_visible()
    assert queue.count() == 0
    page.get_by_role("button", name="More actions").click()
    page.get_by_role("menuitem", name="Delete").click()
    sure = page.get_by_role("dialog").get_by_role("button", name="Delete")
    expect(sure).to_be_disabled()
    page.get_by_role("dialog").get_by_role("textbox").fill("going")
    sure.click()
    expect(page).to_have_url(re.compile("/queues$"))
    assert not cloud.queue.exists("going")
    page.goto("/queues/going")
    expect(page.get_by_text("There is no such queue")).to_be_visible()


@pytest.mark.parametrize(("dark", "narrow"), [(False, True), (True, False)], ids=["light-narrow", "dark-wide"])
def test_loops_and_any_names_are_for_everybody(screen: Screen, queues: None, dark: bool, narrow: bool) -> None:
    handler = eval(f"lambda {LONG}: None")
    handler.__name__ = f"{LONG}{HOSTILE}"
    first, second, alone = cloud.queue.get("loop-first"), cloud.queue.get("q" * 39), cloud.queue.get("alone")
    first.attach(handler, [first, second], max_parallel_jobs=0)
    second.attach(handler, [first], max_parallel_jobs=0)
    first.push([HOSTILE, {"long": [LONG] * 5}])
    alone.push([{"set": {1, 2}}])
    page = screen.open("/queues?graph=yes", dark=dark, narrow=narrow)
    expect(drawn(page).get_by_title("alone", exact=True)).to_be_attached()
    fits(page)
    accessible(page)
    page.goto("/queues/loop-first")
    expect(page.get_by_role("table", name="Next messages")).to_contain_text(HOSTILE)
    fits(page)
    accessible(page)
