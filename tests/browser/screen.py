"""The dashboard in a real browser: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import urllib.request
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec
from playwright.sync_api import Browser, BrowserContext, Page, Request, expect

from picloud.cli.call import Server as At
from picloud.cli.call import call
from tests.conftest import Server

ROOT = Path(__file__).resolve().parents[2]
AXE = ROOT / "dashboard/node_modules/axe-core/axe.min.js"
DEADLINE = 60_000
"""Milliseconds that anything on a page may take on a busy machine."""
WIDE, NARROW = {"width": 1600, "height": 1000}, {"width": 400, "height": 800}
expect.set_options(timeout=DEADLINE)


class Seen(NamedTuple):
    """What a page must not do."""

    faults: list[str]  # errors in its console, refused by its policy
    strangers: list[str]  # requests to other hosts


def token(server: Server) -> str:
    """A session of the server's owner."""
    ticket = call(At(server.url, server.key, server.secret), "POST", "/v1/login/ticket")["ticket"]
    asked = urllib.request.Request(f"{server.url}/v1/login", msgspec.json.encode({"ticket": ticket}))
    with urllib.request.urlopen(asked, timeout=60) as answer:
        return str(msgspec.json.decode(answer.read())["token"])


class Screen:
    """Windows of one who is logged in."""

    def __init__(self, browser: Browser, server: Server) -> None:
        self.server = server
        self._browser = browser
        self._token = token(server)
        self._open: list[tuple[BrowserContext, Seen]] = []

    def open(self, path: str, *, dark: bool = False, narrow: bool = False, stranger: bool = False, **more: Any) -> Page:
        """A page in a window of its own.

        Args:
            stranger: not logged in.
            more: options of Playwright's ``new_context``.
        """
        size = NARROW if narrow else WIDE
        context = self._browser.new_context(
            base_url=self.server.url,
            viewport={"width": size["width"], "height": size["height"]},
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce",
            **more,
        )
        context.set_default_timeout(DEADLINE)
        if not stranger:
            context.add_init_script(
                f"localStorage.getItem('picloud.token') ?? localStorage.setItem('picloud.token', '{self._token}')"
            )
        seen = Seen([], [])
        own = {urlsplit(self.server.url).hostname, "localhost"}

        def asked(request: Request) -> None:
            at = urlsplit(request.url)
            if at.scheme not in ("data", "blob") and at.hostname not in own:
                seen.strangers.append(request.url)

        context.on("request", asked)
        page = context.new_page()
        page.on("pageerror", lambda error: seen.faults.append(str(error)))
        page.on("console", lambda said: seen.faults.append(said.text) if "Content Security Policy" in said.text else None)
        page.on("dialog", lambda dialog: seen.faults.append(f"a dialog: {dialog.message}"))
        self._open.append((context, seen))
        page.goto(path)
        return page

    def close(self) -> None:
        """Close all windows; none may have done what no page of ours does."""
        told = []
        for context, seen in self._open:
            context.close()
            told += [*seen.faults, *seen.strangers]
        assert not told


def fits(page: Page) -> None:
    """Nothing is wider than the screen."""
    wide = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert wide[0] <= wide[1], f"{wide[0]} pixels on a screen of {wide[1]}"


def accessible(page: Page) -> None:
    """axe-core finds nothing serious."""
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    serious = [one for one in found if one["impact"] in ("serious", "critical")]
    assert not serious, [(one["id"], [node["html"][:200] for node in one["nodes"]][:3]) for one in serious]
