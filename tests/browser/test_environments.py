"""Environments in a browser: made by hand in a terminal, built from steps, shared, deleted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

import cloud
from cloud import environment
from tests.browser.screen import Screen, accessible, fits

pytestmark = [pytest.mark.slow, pytest.mark.live]


@pytest.fixture(autouse=True)
def no_environments(server: object) -> Iterator[None]:
    """Whatever environments a test makes, none is left."""
    yield
    for one in environment.list_envs():
        if one["action"] not in ("idle", "setup_error"):
            environment.shutdown(one["name"])
        environment.delete(one["name"])


def begin(page: Page, how: str, name: str) -> None:
    """Open the dialog for a new environment, and name it."""
    page.get_by_role("button", name="New environment").click()
    page.get_by_role("menuitem", name=how).click()
    page.get_by_role("textbox", name="Name", exact=True).fill(name)


def choose(page: Page, what: str) -> None:
    """Something of the page's menu."""
    page.get_by_role("button", name="More", exact=True).click()
    page.get_by_role("menuitem", name=what, exact=True).click()


def read_it() -> str:
    return Path("/opt/hand.txt").read_text()


def test_by_hand_in_a_terminal(screen: Screen) -> None:
    page = screen.open("/environments")
    expect(page.get_by_text("No environments yet")).to_be_visible()
    begin(page, "By hand, from a base", "hand")
    page.get_by_role("button", name="Create", exact=True).click()
    page.get_by_role("button", name="Open a terminal").click()
    shell = page.locator(".xterm")
    expect(shell).to_contain_text("picloud:")  # its prompt
    shell.click()
    page.keyboard.type("echo by-$((40 + 2)) | tee /opt/hand.txt\n")
    expect(shell).to_contain_text("by-42")
    accessible(page)
    page.get_by_role("button", name="Save and close").click()
    expect(page.get_by_text("ready", exact=True)).to_be_visible()
    expect(page.get_by_role("button", name="Edit", exact=True)).to_be_visible()
    expect(page.get_by_role("table", name="Versions").get_by_text("current")).to_be_visible()
    assert cloud.result(cloud.call(read_it, _env="hand"), timeout=60) == "by-42\n"
    page.reload()
    expect(page.get_by_role("table", name="Latest jobs").get_by_role("row").filter(has_text="read_it")).to_have_count(1)
    page.get_by_role("button", name="Edit", exact=True).click()
    expect(page.get_by_text("being edited")).to_be_visible()
    page.get_by_role("button", name="Discard").click()
    page.get_by_role("dialog").get_by_role("button", name="Discard").click()
    expect(page.get_by_text("ready", exact=True)).to_be_visible()


def test_from_steps_with_a_live_log_that_outlives_a_reload(screen: Screen, tmp_path: Path) -> None:
    page = screen.open("/environments")
    begin(page, "Build from steps", "built")
    steps = page.get_by_role("textbox", name="Steps")
    steps.fill("make coffee")
    page.get_by_role("button", name="Build", exact=True).click()
    expect(page.get_by_text("Line 1 begins with none of apt, pip, run")).to_be_visible()
    steps.fill("# first\nrun echo 'it <b>began</b>'\nrun while [ ! -e /opt/go ]; do sleep 0.1; done; echo \"it ended\"")
    page.get_by_role("button", name="Build", exact=True).click()
    log = page.get_by_role("log")
    expect(log).to_contain_text("it <b>began</b>")
    page.reload()
    expect(log).to_contain_text("it <b>began</b>")
    environment.ssh("built", "sudo touch /opt/go || touch /opt/go")
    expect(page.get_by_text("built and saved")).to_be_visible()
    expect(log).to_contain_text("it ended")
    assert "run \"echo 'it <b>began</b>'\"" in environment.recipe("built")
    choose(page, "Build from steps")
    page.get_by_role("button", name="Take the present recipe").click()
    expect(page.get_by_role("textbox", name="Steps")).to_have_value(
        "run echo 'it <b>began</b>'\nrun while [ ! -e /opt/go ]; do sleep 0.1; done; echo \"it ended\""
    )
    page.get_by_role("textbox", name="Steps").fill("run exit 7")
    page.get_by_role("button", name="Build", exact=True).click()
    expect(page.get_by_text("A step has failed (exit 7); nothing is saved")).to_be_visible()
    page.get_by_label("Build").get_by_role("button", name="Discard").click()
    expect(page.get_by_text("ready", exact=True)).to_be_visible()
    assert len(environment.versions("built")) == 1


def test_what_is_there_is_found_shared_cloned_renamed_and_deleted(screen: Screen) -> None:
    environment.build("sci", run=["echo 1 > /opt/one"])
    page = screen.open("/environments?text=sci")
    mine = page.get_by_role("row").filter(has_text="sci")
    expect(mine).to_contain_text("base/host")
    page.get_by_role("link", name="sci", exact=True).click()
    page.get_by_role("searchbox", name="Search packages").fill("pytest")
    expect(page.get_by_role("table", name="Packages").get_by_role("cell", name="pytest", exact=True).first).to_be_visible()
    choose(page, "Publish")
    page.get_by_role("dialog").get_by_role("button", name="Publish").click()
    expect(page.get_by_text("public as /")).to_be_visible()
    page.goto("/environments?tab=public")
    page.get_by_role("row").filter(has_text="/sci").get_by_role("button", name="Clone").click()
    page.get_by_role("textbox", name="Name of the clone").fill("copy")
    page.get_by_role("dialog").get_by_role("button", name="Clone").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("copy")
    choose(page, "Name and description")
    page.get_by_role("textbox", name="Name", exact=True).fill("other")
    page.get_by_role("textbox", name="Description").fill("<script>alert(1)</script>")
    page.get_by_role("dialog").get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("other")
    expect(page.get_by_text("<script>alert(1)</script>")).to_be_visible()
    choose(page, "Delete")
    page.get_by_label('Type "other" to go on').fill("other")
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("link", name="sci", exact=True)).to_be_visible()
    assert [one["name"] for one in environment.list_envs()] == ["sci"]


@pytest.mark.parametrize("dark", [False, True], ids=["wide and light", "narrow and dark"])
def test_the_pages_are_for_everybody(screen: Screen, dark: bool) -> None:
    environment.build("sci", run=["echo 1 > /opt/one"])
    for path, text in (("/environments", "sci"), ("/environments?tab=bases", "base/host"), ("/environments/sci", "current")):
        page = screen.open(path, dark=dark, narrow=dark)
        expect(page.get_by_text(text, exact=True).first).to_be_visible()
        fits(page)
        accessible(page)
    page = screen.open("/environments/none-of-that-name")
    expect(page.get_by_role("alert").first).to_contain_text("none-of-that-name")
