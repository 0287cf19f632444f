"""docs/reference is what ``make docs`` writes today, and the names in all docs exist in the code."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    made: dict[str, str] = runpy.run_path(str(ROOT / "scripts" / "reference"))["pages"]()
    return made


def test_pages_are_fresh_and_no_other_is_there(pages: dict[str, str]) -> None:
    found = {path.name: path.read_text() for path in (ROOT / "docs" / "reference").iterdir()}
    assert found == pages, "stale: run `make docs`"


def text_of_all() -> str:
    return "\n".join(page.read_text() for page in DOCS)


def test_environment_variables_in_the_docs_exist() -> None:
    from picloud.settings import Settings

    known = {f"PICLOUD_{name.upper()}" for name in Settings.__struct_fields__}
    known |= {
        f"PICLOUD_{name}" for name in ("HOME", "API_KEY", "API_SECRETKEY", "URL", "FINGERPRINT", "OIDC_SECRET", "SMTP_PASSWORD")
    }
    assert set(re.findall(r"PICLOUD_[A-Z_]+\b", text_of_all())) - {"PICLOUD_"} <= known


def test_reserved_keywords_in_the_docs_exist_and_the_other_way_round() -> None:
    from cloud import _options

    known = set(_options._READERS)
    named = set(re.findall(r"(?<![\w.`/])`?(_[a-z]+(?:_[a-z]+)*)(?==|`)", text_of_all()))
    assert named <= known | {"__cause__"}
    assert known <= set(re.findall(r"_[a-z_]+[a-z]", text_of_all()))


def test_routes_in_the_docs_exist() -> None:
    from picloud.server.routes import LINES, ROUTES

    known = {route.path for route in ROUTES} | {*LINES}
    for path in re.findall(r"(?<=[\s`])/v1/[a-z0-9_/{}.]*[a-z0-9_}]", text_of_all()):
        assert path in known


def test_states_and_causes_are_all_in_the_guide_to_failures() -> None:
    from picloud.wire.job import Cause

    text = (ROOT / "docs" / "guides" / "failures.md").read_text()
    assert all(f"`{cause.name}`" in text for cause in Cause if cause)


def test_every_error_class_is_in_the_reference(pages: dict[str, str]) -> None:
    from picloud.wire.error import BY_CODE

    assert all(f"`{kind.__name__}`" in pages["errors.md"] for kind in BY_CODE.values())


def test_every_public_name_of_the_client_is_in_the_reference(pages: dict[str, str]) -> None:
    import cloud

    assert all(f"### `cloud.{name}`" in pages["python.md"] for name in cloud.__all__)
