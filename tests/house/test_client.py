"""What ``import cloud`` gives and what it costs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import cloud

SRC = Path(__file__).resolve().parents[2] / "src"

PROMISED = """
    call map status join result iresult info kill delete jobs finished_statuses running_on_cloud is_simulated
    setkey config connection_info close getconfigpath start_simulator set_dependency_whitelist
    CloudException CloudTimeoutError __version__ usage credit estimate
""".split()

HEAVY = """
    msgspec ssl http.client urllib.request asyncio cloudpickle multiprocessing email.message sqlite3 numpy
    click rich sqlalchemy uvicorn starlette websockets psutil cryptography obstore
""".split()
"""What takes long to import; loaded at the first use, if ever."""


def test_every_promised_name_is_there_and_listed() -> None:
    assert not [name for name in PROMISED if not hasattr(cloud, name)]
    assert set(PROMISED) <= set(cloud.__all__)


def test_submodules_come_at_their_first_use() -> None:
    assert cloud.mp.call
    assert cloud.shell.execute
    assert cloud.environment.create
    assert cloud.queue.get
    assert cloud.account.list_keys


def test_nothing_else_is_public() -> None:
    assert cloud.__all__ == sorted(cloud.__all__)
    found = {name for name, value in vars(cloud).items() if not name.startswith("_") and not isinstance(value, ModuleType)}
    assert found <= set(cloud.__all__)


def test_modules_of_the_client_are_private_unless_promised() -> None:
    modules = {path.stem for path in (SRC / "cloud").glob("*.py") if not path.stem.startswith("_")}
    assert modules == {
        "account", "bucket", "cron", "environment", "files", "grant", "job", "mp", "queue", "realtime", "rest", "secret",
        "shell", "volume", "wait_for", "webhook"
    }  # fmt: skip


def test_import_brings_nothing_heavy() -> None:
    code = f"import sys, cloud; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout.strip() == "[]"


def test_help_of_the_command_line_brings_nothing_of_the_server() -> None:
    code = (
        "import sys, contextlib, io\nfrom picloud.cli.main import run\n"
        "with contextlib.redirect_stdout(io.StringIO()): run(['--help'])\n"
        "print([name for name in ('sqlalchemy', 'uvicorn', 'starlette', 'cryptography', 'obstore') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout.strip() == "[]"
