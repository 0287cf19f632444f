"""The page of jobs: live rows and counts, filters that are addresses, maps as one row, what can be done with many at once."""

from __future__ import annotations

import re
import time

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

import cloud
from tests.browser.screen import Screen, accessible, fits
from tests.conftest import serving

pytestmark = [pytest.mark.slow, pytest.mark.live]
HOSTILE = "<script>alert(1)</script>"


def twice(x: int) -> int:
    return x * 2


def fails_at_three(x: int) -> int:
    if x == 3:
        raise ValueError(HOSTILE)
    return x


def sleeps() -> None:
    time.sleep(3600)


def row(page: Page, text: str) -> Locator:
    return page.locator("tbody tr").filter(has_text=text)


def tab(page: Page, name: str) -> Locator:
    return page.get_by_role("navigation", name="Jobs by state").get_by_role("link", name=re.compile(f"^{name}"))


def test_a_newcomer_is_taught_and_then_sees_her_jobs_live(browser: Browser) -> None:
    with serving() as own:
        screen = Screen(browser, own)
        page = screen.open("/jobs")
        expect(page.get_by_text("No jobs yet")).to_be_visible()
        expect(page.get_by_text("import cloud")).to_be_visible()
        expect(page).to_have_title(re.compile("Jobs"))
        running = cloud.call(sleeps, _label="patient")
        expect(row(page, "patient")).to_contain_text("processing")
        expect(tab(page, "Processing")).to_have_text("Processing1")
        cloud.kill(running)
        expect(row(page, "patient")).to_contain_text("killed")
        expect(tab(page, "Killed")).to_have_text("Killed1")
        cloud.join(cloud.map(twice, range(60), _label="sixty"), timeout=60)
        expect(tab(page, "All")).to_have_text("All61")
        expect(page.locator("tbody tr")).to_have_count(2)
        page.get_by_role("switch", name="Maps as one row").click()
        expect(page).to_have_url(re.compile("fold=0"))
        expect(page.locator("tbody tr")).to_have_count(50)
        page.get_by_role("button", name="Older").click()
        expect(page.locator("tbody tr")).to_have_count(11)
        expect(row(page, "patient")).to_be_visible()
        page.reload()
        expect(row(page, "patient")).to_be_visible()
        page.get_by_role("button", name="Newest").click()
        expect(page.locator("tbody tr")).to_have_count(50)
        screen.close()


def test_a_map_is_one_row_with_its_failures_and_opens_into_its_jobs(screen: Screen) -> None:
    jids = cloud.map(fails_at_three, range(8), _label="folded map")
    cloud.join(jids, ignore_errors=True, timeout=60)
    page = screen.open("/jobs?label=folded+map")
    bar = page.get_by_role("img", name="7 done, 1 failed of 8")
    expect(bar).to_be_visible()
    expect(page.locator("tbody tr")).to_have_count(1)
    page.locator("tbody a").click()
    expect(page).to_have_url(re.compile(r"/jobs\?submission=\d+$"))
    expect(page.locator("tbody tr")).to_have_count(8)
    tab(page, "Error").click()
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(row(page, str(jids[3]))).to_contain_text("raised an exception")
    page.go_back()
    expect(page.locator("tbody tr")).to_have_count(8)


def test_filters_are_chosen_from_what_exists_and_lie_in_the_address(screen: Screen) -> None:
    cloud.join(cloud.call(twice, 1, _label="chosen one"), timeout=60)
    cloud.join(cloud.call(fails_at_three, 3, _label="chosen two"), ignore_errors=True, timeout=60)
    page = screen.open("/jobs?text=CHOSEN")
    expect(page.locator("tbody tr")).to_have_count(2)
    page.get_by_role("button", name="Filter", exact=True).click()
    page.get_by_role("option", name="Label").click()
    page.get_by_label("Values of Label").fill("one")
    page.get_by_role("option", name="chosen one").click()
    expect(page).to_have_url(re.compile("label=chosen"))
    expect(page.locator("tbody tr")).to_have_count(1)
    page.get_by_role("button", name="Take away the filter Label: chosen one").click()
    expect(page.locator("tbody tr")).to_have_count(2)
    page.get_by_role("button", name="Filter", exact=True).click()
    page.get_by_role("option", name="Cause").click()
    page.get_by_role("option", name="raised an exception").click()
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(row(page, "chosen two")).to_be_visible()
    page.get_by_role("button", name="Filter", exact=True).click()
    page.get_by_role("option", name="Time").click()
    page.get_by_role("option", name="Last hour").click()
    expect(row(page, "chosen two")).to_be_visible()
    page.get_by_role("textbox", name="Search jobs").or_(page.get_by_role("searchbox", name="Search jobs")).fill("none has this")
    expect(page.get_by_text("No jobs match")).to_be_visible()
    page.get_by_role("button", name="Clear filters").last.click()
    expect(page).to_have_url(re.compile("/jobs$"))
    expect(row(page, "chosen two").first).to_be_visible()


@pytest.mark.parametrize("query", ["state=error", "cause=exception", "state=error&fold=1", "func=fails_at_three&cause=exception"])
def test_deep_links_filter(screen: Screen, query: str) -> None:
    cloud.join(
        [cloud.call(twice, 1, _label="linked"), cloud.call(fails_at_three, 3, _label="linked")], ignore_errors=True, timeout=60
    )
    page = screen.open(f"/jobs?{query}&label=linked")
    expect(row(page, "fails_at_three").first).to_be_visible()
    expect(row(page, "twice")).to_have_count(0)


def test_a_filter_that_cannot_be_is_said(screen: Screen) -> None:
    page = screen.open("/jobs?state=nonsense")
    expect(page.get_by_text(re.compile("no state 'nonsense'"))).to_be_visible()


def test_many_are_killed_rerun_and_deleted_by_keys_and_buttons(screen: Screen) -> None:
    gate = cloud.call(sleeps, _label="gate")
    jids = cloud.map(fails_at_three, [1, 2, 3, 3, 3], _label="bulk", _depends_on=gate)
    page = screen.open("/jobs?label=bulk")
    expect(page.get_by_role("img", name="5 waiting of 5")).to_be_visible()
    page.keyboard.press("j")
    page.keyboard.press("x")
    page.get_by_role("button", name="Kill").click()
    page.get_by_role("dialog").get_by_role("button", name="Kill").click()
    expect(page.get_by_text("5 jobs killed")).to_be_visible()
    expect(page.get_by_role("img", name="5 failed of 5")).to_be_visible()
    assert set(cloud.status(jids)) == {"killed"}
    cloud.kill(gate)
    page.get_by_role("checkbox", name="Choose map").check()
    page.get_by_role("button", name="Rerun", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Rerun").click()
    expect(page.get_by_text("5 jobs submitted once more")).to_be_visible()
    expect(page.locator("tbody tr")).to_have_count(2)
    expect(page.get_by_role("img", name="2 done, 3 failed of 5")).to_be_visible()
    page.get_by_role("checkbox", name=f"Choose map {jids[0]} ").check()
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_text("5 jobs deleted")).to_be_visible()
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.get_by_role("img", name="2 done, 3 failed of 5")).to_be_visible()


def test_a_hundred_thousand_jobs(browser: Browser) -> None:
    with serving() as own:
        screen = Screen(browser, own)
        gate = cloud.call(sleeps, _label="gate")
        jids = cloud.map(twice, range(100_000), _label="large", _depends_on=gate)
        page = screen.open("/jobs")
        expect(page.get_by_role("img", name=re.compile("^100.?000 waiting of 100.?000$"))).to_be_visible()
        expect(tab(page, "Waiting")).to_have_text("Waiting100K")
        page.goto(f"/jobs?fold=0&before={jids[50_000]}")
        expect(page.locator("tbody tr")).to_have_count(50)
        expect(row(page, str(jids[49_999]))).to_be_visible()
        page.goto("/jobs?label=large")
        page.get_by_role("checkbox", name="Choose map").check()
        page.get_by_role("button", name="Kill").click()
        page.get_by_role("dialog").get_by_role("button", name="Kill").click()
        expect(page.get_by_text("100,000 jobs killed")).to_be_visible()
        expect(tab(page, "Killed")).to_have_text("Killed100K")
        cloud.kill(gate)
        screen.close()


def test_columns_are_chosen_and_remembered(screen: Screen) -> None:
    cloud.join(cloud.call(twice, 1, _label="columns"), timeout=60)
    page = screen.open("/jobs")
    expect(page.get_by_role("columnheader", name="Peak memory")).to_be_visible()
    page.get_by_role("button", name="Columns").click()
    accessible(page)
    page.get_by_role("menuitemcheckbox", name="Peak memory").click()
    expect(page.get_by_role("columnheader", name="Peak memory")).to_have_count(0)
    page.reload()
    expect(page.get_by_role("columnheader", name="MemAlloc fails")).to_be_visible()
    expect(page.get_by_role("columnheader", name="Peak memory")).to_have_count(0)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("narrow", [False, True], ids=["wide", "narrow"])
def test_names_of_any_kind_on_any_screen(screen: Screen, dark: bool, narrow: bool) -> None:
    label = HOSTILE + "x" * 170
    cloud.join(cloud.map(twice, range(2), _label=label), timeout=60)
    page = screen.open("/jobs", dark=dark, narrow=narrow)
    expect(row(page, "twice").first).to_be_visible()
    fits(page)
    accessible(page)
    page.get_by_role("button", name="Filter", exact=True).click()
    page.get_by_role("option", name="Label").click()
    page.get_by_role("option", name=label).click()
    expect(row(page, "twice").first).to_be_visible()
    expect(page.get_by_role("list", name="Filters")).to_contain_text(HOSTILE)
    fits(page)
    accessible(page)
