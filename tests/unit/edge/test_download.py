"""How objects are served by link: what a page may show, and that none of it can act."""

import pytest

from picloud.edge.download import headers
from picloud.edge.public import Found
from picloud.wire.download import Link


def told(key: str, *, inline: bool = True, **stored: str) -> dict[str, str]:
    link = Link(1, "", key, 0, inline, "http://localhost:7421")
    found = Found(3, "1-1", 0, {name.replace("_", "-"): value for name, value in stored.items()}, b"abc", [])
    return {name.decode(): value.decode() for name, value in headers(link, found)}


@pytest.mark.parametrize(
    ("key", "kind"),
    [("a/plain.txt", "text/plain; charset=utf-8"), ("page.html", "text/plain; charset=utf-8"), ("cat.png", "image/png"),
     ("drawing.svg", "image/svg+xml"), ("rows.csv", "text/plain; charset=utf-8"), ("some.json", "text/plain; charset=utf-8")],
)  # fmt: skip
def test_what_is_shown(key: str, kind: str) -> None:
    found = told(key)
    assert found["content-type"] == kind and found["content-disposition"].startswith("inline;")
    assert found["content-security-policy"].startswith("sandbox; default-src 'none';")
    assert found["content-security-policy"].endswith("frame-ancestors http://localhost:7421")


@pytest.mark.parametrize("key", ["model.bin", "paper.pdf", "nothing", "site.swf"])
def test_what_is_only_saved(key: str) -> None:
    found = told(key)
    assert (found["content-type"], found["content-disposition"][:10]) == ("application/octet-stream", "attachment")


def test_the_stored_type_counts_and_a_hostile_name_is_a_name() -> None:
    assert told("page", content_type="Text/HTML; charset=utf-8")["content-type"] == "text/plain; charset=utf-8"
    assert told("a.png", inline=False)["content-disposition"] == "attachment; filename*=UTF-8''a.png"
    assert told('x/"; é\n.txt')["content-disposition"] == "inline; filename*=UTF-8''%22%3B%20%C3%A9%0A.txt"
