from __future__ import annotations

import queue

import pytest
from fake import Fake

from cloud import _session
from cloud.job import Verbs


def test_callbacks_run_in_order_with_or_without_the_jid(jobs: Verbs, fake: Fake) -> None:
    heard: queue.Queue[object] = queue.Queue()
    fake.held.clear()
    first = jobs.call(abs, -1, _callback=[heard.put, lambda: heard.put("none")], _callback_on_error=lambda: heard.put("never"))
    second = jobs.call(lambda: 1 / 0, _callback=heard.put, _callback_on_error=lambda jid: heard.put(("error", jid)))
    fake.held.set()
    got = [heard.get(timeout=5) for _ in range(3)]
    assert got.index(first) + 1 == got.index("none")
    assert ("error", second) in got
    third = jobs.call(abs, -1, _callback=heard.put)
    assert heard.get(timeout=5) == third


def test_a_bad_callback_does_not_silence_the_next(jobs: Verbs, caplog: pytest.LogCaptureFixture) -> None:
    heard: queue.Queue[object] = queue.Queue()
    jid = jobs.call(abs, -1, _callback=[lambda: 1 / 0, heard.put])
    assert heard.get(timeout=5) == jid
    assert "division by zero" in caplog.text


def test_the_setting_print_log_level_silences_them(
    jobs: Verbs, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(_session.config._all(), "print_log_level", "CRITICAL")
    heard: queue.Queue[object] = queue.Queue()
    jid = jobs.call(abs, -1, _callback=[lambda: 1 / 0, heard.put])
    assert heard.get(timeout=5) == jid
    assert caplog.text == ""
