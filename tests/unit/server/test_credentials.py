"""What the client reads: cloudconf.py and the secret of its key."""

import configparser
import runpy
import stat
from pathlib import Path

from picloud.server.credentials import configuration, configure, point_client, write_owner_credentials


def test_the_client_finds_key_secret_and_server(tmp_path: Path) -> None:
    home = tmp_path / "home"
    write_owner_credentials(home, 4711, "s%cret", "http://127.0.0.1:7421")
    assert runpy.run_path(str(home / "cloudconf.py"))["api_key"] == "4711"
    assert configuration(home) == {"api_key": "4711", "url": "http://127.0.0.1:7421"}
    auth = home / "credentials" / "4711" / "cloudauth"
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(auth)
    assert dict(parser["ApiKey"]) == {"key": "4711", "secretkey": "s%cret"}
    assert stat.S_IMODE(auth.stat().st_mode) == 0o600
    assert stat.S_IMODE(auth.parent.stat().st_mode) == 0o700


def test_a_fingerprint_comes_and_goes_with_its_server(tmp_path: Path) -> None:
    write_owner_credentials(tmp_path, 1, "s", "https://10.0.0.1:7421", "ab12")
    assert configuration(tmp_path)["fingerprint"] == "ab12"
    write_owner_credentials(tmp_path, 1, "s", "http://127.0.0.1:7421")
    assert configuration(tmp_path)["fingerprint"] == ""


def test_other_lines_stay_as_the_user_wrote_them(tmp_path: Path) -> None:
    (tmp_path / "cloudconf.py").write_text("# mine\nurl = 'http://127.0.0.1:1'  # old\nlog_level = 'INFO'\nnumber = 3")
    configure(tmp_path, url="http://h\\1:2", api_key="7")
    text = (tmp_path / "cloudconf.py").read_text()
    assert text == "# mine\nurl = 'http://h\\\\1:2'\nlog_level = 'INFO'\nnumber = 3\napi_key = '7'\n"
    assert runpy.run_path(str(tmp_path / "cloudconf.py"))["url"] == "http://h\\1:2"


def test_a_new_free_port_is_told_only_to_a_client_of_this_machine(tmp_path: Path) -> None:
    write_owner_credentials(tmp_path, 1, "s", "http://127.0.0.1:4000")
    point_client(tmp_path, "http://127.0.0.1:4001")
    assert configuration(tmp_path)["url"] == "http://127.0.0.1:4001"
    configure(tmp_path, url="https://lab.example:7421")
    point_client(tmp_path, "http://127.0.0.1:4002")
    assert configuration(tmp_path)["url"] == "https://lab.example:7421"
