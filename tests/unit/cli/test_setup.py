"""status, setup and admin: requests to a stand-in for the server."""

import runpy
import ssl
import stat
import threading
from collections.abc import Callable, Iterator
from http.server import HTTPServer
from pathlib import Path
from typing import Any

import pytest

import cloud
from picloud.cli import setup
from picloud.server.certificate import certificate
from picloud.server.credentials import configuration, write_secret

Picloud = Callable[..., Any]


@pytest.fixture(autouse=True)
def fresh_client(home: Path) -> Iterator[None]:
    """The client reads its configuration once a process."""
    cloud.config._forget()
    cloud.config.commit()
    yield
    cloud.config._forget()
    cloud.config.commit()


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """URL and fingerprint of a stand-in behind TLS."""
    cert, key, pinned = certificate(tmp_path, "127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    handler = runpy.run_path(str(Path(__file__).with_name("stand_in.py")))["Handler"]
    server = HTTPServer(("127.0.0.1", 0), handler)
    server.address = ""  # type: ignore[attr-defined]
    server.socket = context.wrap_socket(server.socket, server_side=True)
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    serving.start()
    yield f"https://127.0.0.1:{server.server_address[1]}", pinned
    server.shutdown()
    serving.join()
    server.server_close()


def auth(home: Path) -> Path:
    return home / "credentials" / "4711" / "cloudauth"


def test_setup_with_flags_tries_the_key_and_stores_it(picloud: Picloud, home: Path, secure: tuple[str, str]) -> None:
    url, pinned = secure
    said = picloud("setup", url, "--fingerprint", pinned, "-a", "4711", "-k", "s3cret")
    assert (said.code, said.out) == (0, f"Setup successful! Account ann at {url}.\n"), said
    assert configuration(home) == {"api_key": "4711", "url": url, "fingerprint": pinned}
    assert stat.S_IMODE(auth(home).stat().st_mode) == 0o600
    assert picloud("status", "--json").json["jobs"] == {"queued": 5, "processing": 1}


def test_a_stored_secret_need_not_be_given_again(picloud: Picloud, home: Path, secure: tuple[str, str]) -> None:
    url, pinned = secure
    write_secret(home, 4711, "s3cret")
    assert picloud("setup", url, "--fingerprint", pinned, "-a", "4711").code == 0
    assert configuration(home)["api_key"] == "4711"


def test_setup_takes_the_key_before_the_command_too(picloud: Picloud, home: Path, secure: tuple[str, str]) -> None:
    url, pinned = secure
    said = picloud("-a", "4711", "-k", "s3cret", "setup", url, "--fingerprint", pinned, "--json")
    assert said.json["api_key"] == 4711


def test_an_api_key_that_is_no_number_is_named(picloud: Picloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PICLOUD_API_KEY", "abc")
    assert picloud("jobs", "--json").error["message"] == "an API key is a number, not 'abc'"


def test_setup_from_the_environment(
    picloud: Picloud, home: Path, secure: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, pinned = secure
    for name, value in {"URL": url, "API_KEY": "4711", "API_SECRETKEY": "s3cret", "FINGERPRINT": pinned.upper()}.items():
        monkeypatch.setenv(f"PICLOUD_{name}", value)
    assert picloud("setup", "--json").json == {"url": url, "api_key": 4711, "account": "ann", "home": str(home)}


def test_setup_asks_for_what_is_missing(
    picloud: Picloud, home: Path, secure: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, pinned = secure
    answers = iter(["4711", "s3cret"])
    confirmed: list[str] = []
    monkeypatch.setattr(setup, "_interactive", lambda: True)
    monkeypatch.setattr("click.prompt", lambda *_, **__: next(answers))
    monkeypatch.setattr("click.confirm", lambda text, **_: confirmed.append(text))
    assert picloud("setup", url).code == 0
    assert pinned in confirmed[0]
    assert configuration(home)["fingerprint"] == pinned


def test_without_a_terminal_what_is_missing_is_wrong_usage(picloud: Picloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup, "_interactive", lambda: False)
    said = picloud("setup", "http://127.0.0.1:1")
    assert said.code == 2
    assert "API key is missing" in said.err


def test_a_wrong_key_is_not_stored(picloud: Picloud, home: Path, secure: tuple[str, str]) -> None:
    url, pinned = secure
    said = picloud("setup", url, "--fingerprint", pinned, "-a", "4711", "-k", "wrong")
    assert said.code == 3
    assert "this key is not known here" in said.err
    assert not auth(home).exists()
    assert picloud("setup", url, "--fingerprint", pinned, "-a", "4711", "-k", "wrong", "--json").error["code"] == "not_authorized"


def test_another_certificate_is_refused_before_the_key_is_sent(picloud: Picloud, secure: tuple[str, str]) -> None:
    url, pinned = secure
    said = picloud("setup", url, "--fingerprint", "00" * 32, "-a", "4711", "-k", "s3cret", "--json")
    assert said.code == 3
    assert pinned in said.error["message"]


def test_an_untrusted_certificate_is_refused_with_its_fingerprint(
    picloud: Picloud, secure: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(setup, "_interactive", lambda: False)
    url, pinned = secure
    said = picloud("setup", url, "-a", "4711", "-k", "s3cret", "--json")
    assert said.code == 3
    assert said.error["hint"] == f"if it is the right one, add --fingerprint {pinned}"


def test_plain_http_to_another_machine_needs_insecure(picloud: Picloud) -> None:
    said = picloud("setup", "http://192.0.2.1:7421", "-a", "1", "-k", "s")
    assert said.code == 3
    assert "everybody on the way could read the key" in said.err


@pytest.mark.parametrize("url", ["127.0.0.1:7421", "ftp://x", "http://", "http://h:notaport"])
def test_what_is_no_url_is_said(picloud: Picloud, url: str) -> None:
    said = picloud("setup", url, "-a", "1", "-k", "s", "--json")
    assert said.code == 3
    assert "is not the URL of a server" in said.error["message"]


def test_a_server_that_is_not_there_is_exit_code_3(picloud: Picloud) -> None:
    said = picloud("setup", "http://127.0.0.1:1", "-a", "1", "-k", "s", "--json")
    assert (said.code, said.error["code"]) == (3, "unavailable")
    assert "no server answers at http://127.0.0.1:1" in said.error["message"]


def test_status_of_the_server(picloud: Picloud) -> None:
    up = picloud("up", "--json").json
    lines = picloud("status").out.splitlines()
    assert lines[0] == up["address"]
    assert lines[2:] == [
        "capacity: 2 cores, 16 compute units, 8.0 GiB",
        "jobs: 5 queued, 1 processing",
        "workers: 1",
        "  c1 x 1: 1 of 2 slots busy (pid 7)",
    ]
    said = picloud("status", "--json").json
    assert {"address", "pid", "version", "workers", "capacity"} <= set(said)
    assert said["pid"] == up["pid"]


def test_status_without_a_server_names_the_remedy(picloud: Picloud) -> None:
    picloud("up")
    picloud("down")
    said = picloud("status")
    assert said.code == 3
    assert "picloud up starts one" in said.err


def test_status_without_a_key_tells_what_the_home_says(picloud: Picloud, home: Path) -> None:
    up = picloud("up", "--json").json
    (home / "cloudconf.py").unlink()
    cloud.config._forget()
    cloud.config.commit()
    said = picloud("status", "--json").json
    assert said["pid"] == up["pid"]
    assert "login_url" not in said


def test_a_key_given_by_flags_is_used(picloud: Picloud) -> None:
    picloud("up")
    assert picloud("status", "-a", "4711", "-k", "s3cret", "--json").code == 0
    assert picloud("-k", "s3cret", "jobs").code == 2


def test_admin_account_add(picloud: Picloud) -> None:
    address = picloud("up", "--json").json["address"]
    said = picloud("admin", "account", "add", "bob", "--json").json
    assert said == {
        "name": "bob", "api_key": 4712, "api_secretkey": "other", "setup": f"picloud setup {address} -a 4712 -k other",
    }  # fmt: skip
    assert picloud("admin", "account", "add", "bob").out.splitlines()[0] == "Account bob, API key 4712, secret other"
