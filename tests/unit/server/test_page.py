"""The dashboard where it is not built, and who is shown a page that does not exist."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from picloud.server.api import page
from picloud.server.http import Request
from picloud.server.static import Folder


def test_a_checkout_that_is_not_built_says_how(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "FOLDER", Folder(tmp_path))
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    control: Any = SimpleNamespace(edge=lambda request: "http://127.0.0.1:1")
    asyncio.run(page.shown(control, Request({}, None, send, {}, 0)))  # type: ignore[arg-type]
    assert sent[0]["status"] == 404 and dict(sent[0]["headers"])[b"content-type"].startswith(b"text/html")
    assert b"make dashboard" in sent[1]["body"]


@pytest.mark.parametrize(
    ("path", "accept", "shown"),
    [("/nowhere", "text/html,*/*", True), ("/jobs/x/y", "text/html", True), ("/nowhere", "*/*", False), ("/nowhere", "", False),
     ("/v1/nowhere", "text/html", False), ("/r/1/x/y/z", "text/html", False), ("/assets/x/y", "text/html", False)],
)  # fmt: skip
def test_who_wants_to_see_a_page_is_shown_one(path: str, accept: str, shown: bool) -> None:
    asked = Request({}, None, None, {b"accept": accept.encode()}, 0)  # type: ignore[arg-type]
    assert page.is_lost(asked, path) is shown


def test_the_policy_names_this_server_and_its_edge_alone() -> None:
    told = page.policy("https://here:8").decode()
    parts = {words[0]: words[1:] for words in (part.split() for part in told.split(";"))}
    assert parts["default-src"] == ["'none'"] and parts["script-src"] == ["'self'"]
    assert parts["connect-src"] == ["'self'", "https://here:8", "wss://here:8"]
    assert parts["frame-ancestors"] == parts["base-uri"] == ["'none'"]
    assert "unsafe-eval" not in told and "*" not in told
    assert "ws://here:8" in page.policy("http://here:8").decode()
