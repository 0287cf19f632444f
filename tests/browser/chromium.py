"""Debian's Chromium without a window."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

PROGRAM = "/usr/lib/chromium/chromium-headless-shell"  # what Debian's chromium-headless-shell, a shell script, starts
WORDS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser. The event loop of Playwright's runs in this thread as long as it is there."""
    program = PROGRAM if os.access(PROGRAM, os.X_OK) else shutil.which("chromium-headless-shell")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=WORDS)
        try:
            yield started
        finally:
            started.close()
