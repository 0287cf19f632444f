"""A worker finds a server that came back elsewhere."""

from pathlib import Path

from picloud.worker.control import Control
from picloud.worker.order import CONTROL, Order


def test_the_address_in_the_folder_counts(tmp_path: Path) -> None:
    order = Order("http://127.0.0.1:1", "ab", "secret", str(tmp_path))
    control = Control(order)
    order.look()
    assert control.url == "http://127.0.0.1:1"
    (tmp_path / CONTROL).write_text("http://127.0.0.1:2")
    order.look()
    assert control.url == "http://127.0.0.1:2"
