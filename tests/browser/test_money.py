"""Usage and grants: what was spent on what, and a grant from its call to the credit."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

import cloud
from tests.browser.screen import Screen, accessible, fits

pytestmark = [pytest.mark.slow, pytest.mark.live]
LONG, HOSTILE = "=1+" + "n" * 197, "<script>alert(1)</script>"


def spends(x: int) -> int:
    return x


@pytest.fixture(scope="module")
def spent(server: object) -> None:
    for label in (LONG, HOSTILE):
        cloud.result(cloud.call(spends, 1, _label=label), timeout=60)


def choose(page: Page, label: str, value: str) -> None:
    page.get_by_label(label, exact=True).select_option(value)


@pytest.mark.usefixtures("spent")
def test_usage_by_label_and_function_and_as_a_file(screen: Screen, tmp_path: Path) -> None:
    page = screen.open("/usage")
    table = page.get_by_role("table", name="Usage by label")
    expect(table.get_by_text(HOSTILE)).to_be_visible()
    expect(table.get_by_role("row").last).to_contain_text("Total")
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save as CSV").click()
    saved.value.save_as(tmp_path / "usage.csv")
    rows = list(csv.reader((tmp_path / "usage.csv").read_text(encoding="utf-8").splitlines()))
    assert rows[0] == ["label", "runs", "core_hours", "dollars"] and HOSTILE in {row[0] for row in rows}
    assert f"'{LONG}" in {row[0] for row in rows}, "no spreadsheet computes what somebody has called a label"
    choose(page, "Told apart by", "function")
    choose(page, "Period", "365")
    expect(page.get_by_role("table", name="Usage by function").get_by_text("spends", exact=True)).to_be_visible()
    expect(page).to_have_url("/usage?by=function&period=365")
    page.get_by_role("link", name="Grant report").click()
    expect(page.get_by_role("heading", name="Spent by month")).to_be_visible()
    page.emulate_media(media="print")
    expect(page.get_by_role("button", name="Print")).to_be_hidden()
    expect(page.get_by_role("navigation").first).to_be_hidden()


def test_a_grant_from_its_call_to_the_credit(screen: Screen) -> None:
    page = screen.open("/grants?tab=calls")
    page.get_by_role("button", name="Open a call").click()
    page.get_by_label("Name").fill(HOSTILE)
    page.get_by_label("Dollars of each").fill("12.50")
    page.get_by_role("button", name="Open", exact=True).click()
    expect(page.get_by_role("table", name="Calls").get_by_text(HOSTILE)).to_be_visible()
    page.get_by_role("tab", name="Apply").click()
    page.get_by_role("button", name="Apply").click()
    for label in ("Your name", "Institution", "Position", "Biography", "Research"):
        page.get_by_label(label).fill(f"{label} <b>{LONG[:150]}</b>")
    page.locator("input[type=file]").set_input_files({"name": "plan.txt", "mimeType": "text/plain", "buffer": b"what I plan"})
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.get_by_role("table", name="Your applications").get_by_text("plan.txt")).to_be_visible()
    page.get_by_role("tab", name="Applications received").click()
    with page.expect_download() as saved:
        page.get_by_role("button", name="plan.txt").click()
    assert Path(saved.value.path()).read_bytes() == b"what I plan"
    page.get_by_role("button", name="Award").click()
    page.get_by_label("Note").fill("well planned")
    page.get_by_role("dialog").get_by_role("button", name="Award").click()
    expect(page.get_by_role("article").get_by_text("awarded", exact=True)).to_be_visible()
    page.goto("/usage")
    expect(page.get_by_role("table", name="Grants").get_by_text("$12.50").first).to_be_visible()


@pytest.mark.usefixtures("spent")
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_money_is_for_everybody(screen: Screen, dark: bool) -> None:
    page = screen.open("/usage", dark=dark, narrow=True)
    for path in ("/usage", "/usage?view=report", "/grants", "/grants?tab=received"):
        page.goto(path)
        expect(page.get_by_role("heading", level=2).first).to_be_visible()
        expect(page.locator("[data-stale], .mantine-Skeleton-root")).to_have_count(0)
        fits(page)
        accessible(page)
