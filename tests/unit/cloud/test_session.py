from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fake import Fake

import cloud
from cloud import _config, _session
from picloud.wire.error import SetupError


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("PICLOUD_HOME", str(tmp_path))
    for name in ("PICLOUD_API_KEY", "PICLOUD_API_SECRETKEY", "PICLOUD_URL", "PICLOUD_FINGERPRINT"):
        monkeypatch.delenv(name, raising=False)
    reset()
    yield tmp_path
    reset()


def reset() -> None:
    cloud.config._forget()
    cloud.config.commit()
    _session.set_dependency_whitelist(None)


def configure(home: Path, url: str, key: str = "7") -> None:
    (home / "cloudconf.py").write_text(f'# mine\napi_key = "{key}"\nurl = "{url}"\nother = [1]\n')
    folder = home / "credentials" / key
    folder.mkdir(parents=True)
    (folder / "cloudauth").write_text(f"[ApiKey]\nkey = {key}\nsecretkey = s%cret\n")


def test_no_key_says_what_to_do() -> None:
    with pytest.raises(SetupError, match="picloud up"):
        cloud.call(abs, 1)
    assert not cloud.close()


def test_file_and_credentials(home: Path, fake: Fake) -> None:
    configure(home, fake.url)
    assert cloud.result(cloud.call(abs, -4)) == 4
    assert cloud.connection_info() == {
        "opened": True, "connection_type": "HTTP", "server_url": fake.url, "api_key": 7, "api_secretkey": "s%cret"}  # fmt: skip
    assert cloud.close()
    assert not cloud.close()
    assert cloud.result(cloud.call(abs, -4)) == 4
    assert cloud.getconfigpath() == str(home)
    assert (cloud.is_simulated(), cloud.running_on_cloud()) == (False, False)


def test_environment_goes_before_the_file(home: Path, fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(home, "http://127.0.0.1:1")
    monkeypatch.setenv("PICLOUD_URL", fake.url + "/")
    monkeypatch.setenv("PICLOUD_API_KEY", "8")
    monkeypatch.setenv("PICLOUD_API_SECRETKEY", "t")
    assert cloud.result(cloud.call(abs, -4)) == 4
    assert cloud.connection_info()["api_key"] == 8


def test_setkey(home: Path, fake: Fake) -> None:
    with pytest.raises(SetupError, match="secret of key 9 is not stored"):
        cloud.setkey(9, server_url=fake.url)
    cloud.setkey(9, "secret", fake.url)
    assert cloud.result(cloud.call(abs, -4)) == 4
    before = _session.session()
    cloud.setkey("9", "secret", fake.url)
    assert _session.session() is before
    cloud.setkey(9, "secret", fake.url, restart=True, immutable=True)
    assert _session.session() is not before
    cloud.setkey(10, "secret", fake.url)
    assert cloud.connection_info()["api_key"] == 9
    with pytest.raises(SetupError, match="http://"):
        _session._configured(9, "secret", "ftp://x")


def test_setkey_takes_numbers_alone() -> None:
    with pytest.raises(ValueError, match="number"):
        cloud.setkey("abc")


def test_config(home: Path, fake: Fake) -> None:
    configure(home, fake.url)
    assert cloud.config.api_key == "7"
    assert cloud.config.num_procs == 8
    with pytest.raises(AttributeError, match="did you mean num_procs"):
        cloud.config.num_proc = 3
    with pytest.raises(AttributeError, match="no option"):
        cloud.config.nothing  # noqa: B018 asking is the test
    with pytest.raises(TypeError, match="use_simulator is bool"):
        cloud.config.use_simulator = 1
    cloud.config.use_simulator = True
    cloud.config.commit()
    assert cloud.is_simulated()
    assert "commit" in dir(cloud.config)
    (home / "cloudconf.py").write_text('url = "http://127.0.0.1:9"')
    cloud.config.commit()
    assert (cloud.config.url, cloud.config.use_simulator) == ("http://127.0.0.1:9", True)


@pytest.mark.parametrize("text", ["api_key = open('x')\n", "def (\n"])
def test_a_bad_file_is_named(home: Path, text: str) -> None:
    (home / "cloudconf.py").write_text(text)
    with pytest.raises(SetupError, match="cloudconf.py"):
        cloud.config.url  # noqa: B018 asking is the test


def test_secret_of_a_broken_file(home: Path) -> None:
    configure(home, "")
    (home / "credentials" / "7" / "cloudauth").write_text("nonsense")
    with pytest.raises(SetupError, match="picloud setup"):
        _config.secret_of("7")


def test_inside_a_job_the_door_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PICLOUD_SOCKET", "/somewhere")
    monkeypatch.setenv("PICLOUD_JID", "5")
    assert cloud.running_on_cloud()
    assert _session.session().door == "/somewhere"
    cloud.setkey(9, "secret")
    assert _session.session().door == "/somewhere"
    assert not cloud.close()


def test_whitelist() -> None:
    cloud.set_dependency_whitelist(["b", "a"])
    assert _session.whitelist == ("a", "b")
    cloud.set_dependency_whitelist(None)
    assert _session.whitelist is None
    with pytest.raises(TypeError):
        cloud.set_dependency_whitelist([1])  # type: ignore[list-item]
