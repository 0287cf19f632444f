"""A job waits for a mount that is being made anew."""

from __future__ import annotations

import os
import threading

from picloud.wire.barrier import Page
from picloud.worker.inside.stored import Mounts


def test_a_job_waits_until_every_mount_is_there() -> None:
    page = Page.make(2)
    mounts = Mounts(["/bucket", "/data"], os.dup(page.file))
    assert not any(mounts.signs)
    page.died(0)
    page.died(1)
    assert any(mounts.signs) and not page.lost(0)
    waiting = threading.Thread(target=mounts.wait)
    waiting.start()
    page.came(0)
    waiting.join(0.05)
    assert waiting.is_alive()
    page.came(1)
    waiting.join(5)
    assert not waiting.is_alive() and not any(mounts.signs)


def test_what_was_open_when_a_server_died_is_told_once() -> None:
    page = Page.make(1)
    page.show(0, 3)
    page.died(0)
    page.came(0)
    assert not page.unstored(0)
    assert page.lost(0) and not page.lost(0)
