from __future__ import annotations

import io
import sys
import threading

import pytest

from cloud import _progress


class Terminal(io.StringIO):
    """A terminal that tells when something is written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.written = threading.Event()

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if "jobs" in text:
            self.written.set()
        return super().write(text)


def test_nothing_is_shown_where_nobody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with _progress.Bar(3) as bar:
        bar.step()
        assert bar._timer is None
    assert sys.stderr.getvalue() == ""  # type: ignore[attr-defined]


def test_nothing_is_shown_at_a_terminal_that_cannot_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("TERM", "dumb")
    with _progress.Bar(3) as bar:
        assert bar._timer is None


def test_a_bar_at_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(_progress, "SOON", 0.0)
    with _progress.Bar(3) as bar:
        assert terminal.written.wait(5)
        for _ in range(3):
            bar.step()
    assert "3/3" in terminal.getvalue()


def test_a_short_wait_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(_progress, "SOON", 60.0)
    with _progress.Bar(3) as bar:
        bar.step()
    assert terminal.getvalue() == ""


def test_a_bar_of_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(_progress, "SOON", 0.0)
    with _progress.Bar(3_000_000, what="[jobs]/key", unit="bytes") as bar:
        assert terminal.written.wait(5)
        bar.step(2_000_000)
        bar.step(1_000_000)
    assert "[jobs]/key" in terminal.getvalue() and "3.0/3.0 MB" in terminal.getvalue()
