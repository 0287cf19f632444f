"""The pages of what the server runs by itself or keeps ready: crons, published functions, reserved cores."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import expect

import cloud
from tests.browser.screen import Screen, accessible, fits

pytestmark = [pytest.mark.slow, pytest.mark.live]
HOSTILE = "<script>alert(1)</script>"
LONG = "l" * 100


def area(width: float, height: float = 2.0, name: str = "", picture: bytes = b"") -> dict[str, Any]:
    if width < 0:
        raise ValueError(HOSTILE)
    return {"area": width * height, "name": name, "bytes": len(picture)}


def report() -> str:
    return "all is well"


@pytest.fixture
def clean(server: Any) -> Iterator[None]:
    """Nothing is left of what a test has registered."""
    yield
    for label in cloud.cron.list():
        cloud.cron.deregister(label)
    for label in cloud.rest.list():
        cloud.rest.remove(label)
    for one in cloud.realtime.list():
        cloud.realtime.release(one["request_id"])


def test_a_cron_is_told_in_words_run_and_removed(screen: Screen, clean: None) -> None:
    page = screen.open("/cron", timezone_id="Asia/Tokyo")
    expect(page.get_by_text("No crons yet")).to_be_visible()
    cloud.cron.register(report, "nightly", "30 2 * * *", timezone="Europe/Vienna", overlap="skip")
    crons = page.get_by_role("table", name="Crons")
    expect(crons).to_contain_text("At 02:30")
    expect(crons).to_contain_text(re.compile("02:30, Europe/Vienna"))
    expect(crons).to_contain_text("one run at a time")
    page.get_by_role("button", name="Actions for nightly").click()
    page.get_by_role("menuitem", name="Run now").click()
    expect(page.get_by_text(re.compile(r"It runs as job \d+"))).to_be_visible()
    expect(crons.get_by_role("row").nth(1)).to_contain_text("done")
    crons.get_by_role("link", name="nightly").click()
    runs = page.get_by_role("dialog").get_by_role("table", name="Runs")
    expect(runs).to_contain_text("by hand")
    expect(runs).to_contain_text("done")
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    page.get_by_role("dialog", name="Remove the cron nightly?").get_by_role("button", name="Remove").click()
    expect(page.get_by_text("No crons yet")).to_be_visible()
    assert cloud.cron.list() == []


def test_a_function_is_tried_by_the_form_of_its_signature(screen: Screen, clean: None) -> None:
    page = screen.open("/rest")
    expect(page.get_by_text("Nothing is published yet")).to_be_visible()
    cloud.rest.publish(area, "area")
    page.get_by_role("table", name="Published functions").get_by_role("link", name="area").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Call it").click()
    expect(dialog.get_by_text("It is needed")).to_be_visible()
    dialog.get_by_label("width").fill("1.5")
    dialog.get_by_label("name").fill('Ada "L"')
    page.set_input_files("input[type=file]", {"name": "cat.png", "mimeType": "image/png", "buffer": b"12345"})
    dialog.get_by_role("button", name="Call it").click()
    expect(dialog.get_by_label("Result")).to_contain_text('"area": 3')
    assert json.loads(dialog.get_by_label("Result").inner_text()) == {"area": 3.0, "name": 'Ada "L"', "bytes": 5}
    expect(dialog.get_by_text(re.compile(r"Ran as job \d+"))).to_be_visible()
    dialog.get_by_label("width").fill("-1")
    dialog.get_by_role("button", name="Call it").click()
    expect(dialog.get_by_role("alert")).to_contain_text(HOSTILE)
    expect(dialog.get_by_label("Traceback")).to_contain_text("raise ValueError")
    dialog.get_by_role("tab", name="Call it from elsewhere").click()
    expect(dialog.get_by_text("width=-1")).to_be_visible()
    dialog.get_by_role("button", name="Remove the address").click()
    page.get_by_role("dialog", name="Take the address area away?").get_by_role("button", name="Remove").click()
    expect(page.get_by_text("Nothing is published yet")).to_be_visible()
    assert cloud.rest.list() == []


def test_a_key_of_an_address_opens_it_until_it_is_rotated_or_removed(screen: Screen, clean: None) -> None:
    url = cloud.rest.publish(area, "area")
    page = screen.open("/rest?label=area")
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("tab", name="Keys").click()
    dialog.get_by_label("Note").fill("for the shop")
    dialog.get_by_role("button", name="Create a key").click()
    secret = dialog.get_by_label("Secret", exact=True)
    expect(secret).to_be_visible()
    expect(dialog.get_by_role("table", name="Keys of this address")).to_contain_text("for the shop")
    (made,) = cloud.rest.list_keys("area")
    former = secret.inner_text()
    assert answers(url, made["api_key"], former) == 200
    dialog.get_by_role("button", name=f"Rotate key {made['api_key']}").click()
    page.get_by_role("dialog", name="A new secret").get_by_role("button", name="Rotate").click()
    expect(secret).not_to_have_text(former)
    assert (answers(url, made["api_key"], former), answers(url, made["api_key"], secret.inner_text())) == (401, 200)
    dialog.get_by_role("button", name=f"Remove key {made['api_key']}").click()
    page.get_by_role("dialog", name=re.compile("^Remove key")).get_by_role("button", name="Remove").click()
    expect(dialog.get_by_text("No keys of this address")).to_be_visible()
    assert cloud.rest.list_keys("area") == []


def answers(url: str, key: int, secret: str) -> int:
    head = {"Authorization": "Basic " + b64encode(f"{key}:{secret.strip()}".encode()).decode()}
    try:
        with urllib.request.urlopen(urllib.request.Request(f"{url}/openapi.json", headers=head), timeout=60) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        return refused.code


def test_cores_are_reserved_at_a_known_price_changed_and_released(screen: Screen, clean: None) -> None:
    page = screen.open("/realtime")
    expect(page.get_by_text("No cores are reserved")).to_be_visible()
    page.get_by_role("button", name="Reserve cores").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("combobox", name="Core type").click()
    page.get_by_role("option", name=re.compile("^c1:")).click()
    dialog.get_by_label("Cores").fill("90000")
    dialog.get_by_role("button", name="Reserve", exact=True).click()
    expect(dialog.get_by_role("alert")).to_contain_text("may be reserved")
    expect(dialog).to_contain_text("90,000")
    dialog.get_by_label("Cores").fill("1")
    expect(dialog).to_contain_text("$0.0500 an hour, at most $0.40 in 8 hours")
    dialog.get_by_role("button", name="Reserve", exact=True).click()
    held = page.get_by_role("table", name="Reservations")
    expect(held).to_contain_text("1 × c1")
    expect(held).to_contain_text("ready")
    (one,) = cloud.realtime.list()
    assert one["max_duration"] == 8
    page.get_by_role("button", name=re.compile("^Change how long")).click()
    dialog.get_by_label("Longest time").fill("12")
    dialog.get_by_role("button", name="Change").click()
    expect(page.get_by_text("The reservation is changed")).to_be_visible()
    assert cloud.realtime.list()[0]["max_duration"] == 12
    page.get_by_role("button", name=re.compile("^Release reservation")).click()
    dialog.get_by_role("button", name="Release").click()
    expect(page.get_by_text("No cores are reserved")).to_be_visible()
    expect(page.get_by_role("table", name="Former reservations")).to_contain_text("released by hand")
    assert not cloud.realtime.list()


@pytest.mark.parametrize(("dark", "narrow"), [(False, True), (True, False)], ids=["light-narrow", "dark-wide"])
def test_they_are_for_everybody_whatever_the_names(screen: Screen, clean: None, dark: bool, narrow: bool) -> None:
    def hostile() -> None:
        pass

    hostile.__name__, hostile.__doc__ = HOSTILE, HOSTILE
    cloud.cron.register(hostile, LONG, "0 12 13 * fri", timezone="America/Argentina/Buenos_Aires")
    cloud.rest.publish(area, LONG)
    cloud.rest.publish(hostile, "hostile")
    pages = {"/cron": LONG, f"/cron?label={LONG}": "It has not run yet", "/rest": "hostile", f"/rest?label={LONG}": "Try it",
             "/realtime": "Reserve cores"}  # fmt: skip
    for path, told in pages.items():
        page = screen.open(path, dark=dark, narrow=narrow)
        expect(page.get_by_text(told).first).to_be_visible()
        fits(page)
        accessible(page)
