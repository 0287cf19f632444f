"""The page of a job: live while it runs, whole afterwards, clear about failures, unmoved by whatever a job prints."""

from __future__ import annotations

import re
from uuid import uuid4

import pytest
from playwright.sync_api import Locator, Page, expect

import cloud
from tests.browser.screen import Screen, accessible, fits

pytestmark = [pytest.mark.slow, pytest.mark.live]
SCRIPT = "<script>window.hacked=1</script>"


def grows(end: str) -> dict[str, int]:
    """Computes and takes memory until there is a file of this name."""
    import os
    import time

    held: list[bytes] = []
    while not os.path.exists(f"/bucket/{end}"):
        until = time.monotonic() + 0.2
        while time.monotonic() < until:
            sum(range(1000))
        if len(held) < 100:
            held.append(os.urandom(1 << 20))
        print("holding", len(held), "MiB", flush=True)
    return {"steps": len(held)}


def chart(page: Page, name: str) -> Locator:
    return page.get_by_role("region", name="Resources").get_by_role("img", name=re.compile(f"^{name}"))


def test_charts_and_output_move_while_it_runs_then_stay(screen: Screen) -> None:
    end = f"end-{uuid4().hex}"
    jid = cloud.call(grows, end, _label="full CPU, growing memory")
    page = screen.open(f"/jobs/{jid}")
    expect(page.get_by_role("heading", level=1)).to_have_text("grows")
    expect(page.get_by_role("log", name="stdout")).to_contain_text("holding 3 MiB")
    memory, cpu = chart(page, "Memory"), chart(page, "CPU")
    expect(cpu).to_have_attribute("aria-label", re.compile(r"user: now [1-9]\d* %"))
    before = str(memory.get_attribute("aria-label"))
    expect(memory).not_to_have_attribute("aria-label", before)
    cloud.bucket.putf(b"", end)
    try:
        cloud.join(jid, timeout=60)
    finally:
        cloud.bucket.remove(end)
    expect(page.get_by_role("region", name="Result")).to_contain_text('"steps"')
    expect(page.get_by_role("button", name="Rerun")).to_be_visible()
    expect(page.get_by_role("region", name="History")).to_contain_text("run")
    page.reload()
    expect(chart(page, "Memory")).to_have_attribute("aria-label", re.compile(r"used: now .* MiB, at most \d"))
    expect(page.get_by_role("log", name="stdout")).to_contain_text("holding")


def devours() -> None:
    held = []
    print("it begins", flush=True)
    while True:
        held.append(bytearray(b"x" * (4 << 20)))


def test_out_of_memory_shows_its_certificate_first(screen: Screen) -> None:
    jid = cloud.call(devours, _type="c1")
    cloud.join(jid, timeout=60, ignore_errors=True)
    for dark in (False, True):
        page = screen.open(f"/jobs/{jid}", dark=dark, narrow=dark)
        told = page.get_by_role("region", name="out of memory")
        expect(told).to_contain_text("Failed")
        expect(told).to_contain_text("300 MiB")
        expect(told).to_contain_text("hold less in memory")
        expect(told).to_contain_text("it begins")
        fits(page)
        accessible(page)


def hostile() -> str:
    import sys

    print(f"\x1b[31mred\x1b[0m \x1b]0;another title\x07{SCRIPT} \x1b[2J\x1b[1;1H\u202eabc\0")
    print("10 %\r50 %\rall of it")
    print("<img src=x onerror='window.hacked=1'>", file=sys.stderr)
    raise ValueError(SCRIPT)


def test_what_a_job_prints_does_nothing(screen: Screen) -> None:
    jid = cloud.call(hostile, _label=SCRIPT + "x" * 170)
    cloud.join(jid, timeout=60, ignore_errors=True)
    for dark, narrow in ((False, False), (True, True)):
        page = screen.open(f"/jobs/{jid}", dark=dark, narrow=narrow)
        log = page.get_by_role("log", name="stdout")
        expect(log).to_contain_text(f"red {SCRIPT} \N{REPLACEMENT CHARACTER}abc")
        expect(log).to_contain_text("all of it")
        expect(log).not_to_contain_text("50 %")
        page.get_by_role("tab", name="stderr").click()
        expect(page.get_by_role("log", name="stderr")).to_contain_text("<img src=x onerror=")
        expect(page.get_by_role("region", name="raised an exception")).to_contain_text(f"ValueError: {SCRIPT}")
        assert page.evaluate("window.hacked") is None and "another" not in page.title()
        fits(page)
        accessible(page)


def floods() -> None:
    for at in range(120_000):
        print("line", at, "x" * 40)


def test_a_flood_is_kept_to_its_end_and_searched(screen: Screen) -> None:
    jid = cloud.call(floods)
    page = screen.open(f"/jobs/{jid}")
    log = page.get_by_role("log", name="stdout")
    expect(log).to_contain_text("line 119999")
    expect(page.get_by_text("are not shown; the download has all")).to_be_visible()
    assert len(str(log.text_content())) < 5 << 20
    newest = page.get_by_role("button", name=re.compile("To the end|Follow"))
    expect(newest).to_have_count(0)
    log.evaluate("at => at.scrollTop -= 600")
    newest.click()
    expect(newest).to_have_count(0)
    page.get_by_label("Search stdout").fill("LINE 119998")
    expect(page.get_by_text("1 line has this text")).to_be_visible()
    with page.expect_download() as loaded:
        page.get_by_role("region", name="Output").get_by_role("button", name="Download").click()
    assert loaded.value.path().read_bytes().startswith(b"line 0 ")


def test_a_terminal_leads_into_the_job(screen: Screen) -> None:
    end, seen = f"end-{uuid4().hex}", f"seen-{uuid4().hex[:8]}"
    cloud.bucket.putf(b"", seen)
    jid = cloud.call(grows, end)
    try:
        page = screen.open(f"/jobs/{jid}", dark=True)
        page.get_by_role("button", name="Terminal", exact=True).click()
        rows = page.locator(".xterm-rows")
        expect(rows).to_contain_text("$")
        page.keyboard.type("ls /bucket\n")
        expect(rows).to_contain_text(seen)
        page.keyboard.type("exit 3\n")
        expect(page.get_by_text("The shell has ended: exit 3")).to_be_visible()
        page.get_by_role("button", name="Open again").click()
        expect(rows).to_contain_text("$")
        page.keyboard.press("F6")
        page.keyboard.press("Enter")
        expect(rows).to_have_count(0)
        page.get_by_role("button", name="Kill").click()
        page.get_by_role("dialog").get_by_role("button", name="Kill").click()
        expect(page.get_by_role("region", name="killed")).to_be_visible()
    finally:
        cloud.kill(jid)
        cloud.bucket.remove(seen)


def doubled(x: int) -> bytes:
    import os

    return os.environ.get("WORD", "").encode() * x


def test_a_clone_with_other_settings_a_rerun_and_the_end_of_it(screen: Screen) -> None:
    jid = cloud.call(doubled, 2)
    cloud.join(jid, timeout=60)
    page = screen.open(f"/jobs/{jid}")
    page.get_by_role("button", name="Clone").click()
    form = page.get_by_role("dialog")
    form.get_by_label("Label").fill("another one")
    form.get_by_label("Variables").fill("no variable")
    form.get_by_role("button", name="Run the clone").click()
    expect(form).to_contain_text("is not of the form")
    form.get_by_label("Variables").fill("WORD=abc")
    accessible(page)
    form.get_by_role("button", name="Run the clone").click()
    expect(page).not_to_have_url(re.compile(rf"/jobs/{jid}$"))
    expect(page.get_by_text("another one").first).to_be_visible()
    expect(page.get_by_role("region", name="Result")).to_contain_text("abcabc")
    made = page.url
    page.get_by_role("button", name="Rerun").click()
    expect(page).not_to_have_url(made)
    expect(page.get_by_role("region", name="Result")).to_contain_text("abcabc")
    again = page.url
    with page.expect_download() as loaded:
        page.get_by_role("region", name="Result").get_by_role("button", name=re.compile("Download")).click()
    assert loaded.value.path().read_bytes() == b"abcabc"
    page.get_by_role("button", name="More actions").click()
    page.get_by_role("menuitem", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page).not_to_have_url(again)
    page.goto(again)
    expect(page.get_by_role("heading", level=1)).to_have_text("No such job")


def computes(n: int) -> int:
    import json

    return sum(len(json.dumps(list(range(3000)))) for _ in range(n))


def test_a_profile_is_drawn_and_zoomed(screen: Screen) -> None:
    jid = cloud.call(computes, 1000, _profile=True)
    cloud.join(jid, timeout=60)
    page = screen.open(f"/jobs/{jid}")
    profile = page.get_by_role("region", name="Profile")
    profile.get_by_role("button", name=re.compile("^dumps, ")).click()
    expect(profile.get_by_role("button", name=re.compile("^computes, "))).to_have_count(0)
    expect(profile.get_by_role("button", name=re.compile("^iterencode, "))).to_be_visible()
    profile.get_by_role("button", name="All", exact=True).click()
    expect(profile.get_by_role("button", name=re.compile("^computes, "))).to_be_visible()
    accessible(page)
    profile.get_by_role("tab", name="Table").click()
    expect(profile.get_by_role("row", name=re.compile("iterencode")).first).to_be_visible()


@pytest.mark.parametrize("jid", ["999999999", "999999999999999999"])
def test_a_job_that_is_not_there_is_said_to_be_so(screen: Screen, jid: str) -> None:
    page = screen.open(f"/jobs/{jid}", narrow=True)
    expect(page.get_by_text(f"There is no job {jid}")).to_be_visible()
    fits(page)
    accessible(page)
