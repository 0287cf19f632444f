"""Appends and the stream of changes, over HTTP."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest

from picloud.wire.error import BadRequest, Conflict, NotFound
from picloud.wire.object import INLINE, Append, Event, Extent, Keys, New, Object
from tests.flow.mounts import Api

encode, decode = msgspec.msgpack.encode, msgspec.msgpack.decode


def append(api: Api, key: str, data: bytes, **more: Any) -> Object:
    body = encode(Append(key, len(data), data=data, **more))
    return decode(api.link.request("POST", "/v1/object/append", body), type=Object)


def test_an_object_grows_from_nothing_through_the_index_into_blobs(api: Api) -> None:
    expected, piece = b"", bytes(range(256)) * 20
    for step in range(17):
        found = append(api, "grows", piece)
        expected += piece
        assert (found.size, found.version) == (len(expected), step + 1)
        assert api.get("grows") == expected
    content = api.remote.get(found.id)
    assert len(expected) > INLINE and content is not None and len(content.extents) <= 4


def test_blobs_are_appended_too(api: Api) -> None:
    for key, begin in (("small", b"small"), ("large", bytes(3 * INLINE))):
        api.put(f"blobs/{key}", begin)
        (name,) = api.remote.send([7], lambda _: b"?behind")
        api.remote.append(Append(f"blobs/{key}", 6, extents=[Extent(name, 1, 6)]))
        assert api.get(f"blobs/{key}") == begin + b"behind"


def test_a_repeat_is_told_from_another_append(api: Api) -> None:
    for token in (b"a" * 16, b"a" * 16, b"b" * 16, b"b" * 16):
        append(api, "repeated", b"x", token=token)
    assert api.get("repeated") == b"xx"


def test_a_repeat_is_known_though_another_came_between(api: Api) -> None:
    first = append(api, "between", b"1", token=b"a" * 16)
    append(api, "between", b"2", token=b"b" * 16)
    again = append(api, "between", b"1", token=b"a" * 16)
    assert (again.etag, again.size) == (first.etag, 1) and api.get("between") == b"12"
    api.remote.rename("between", "elsewhere", True)
    assert append(api, "", b"1", token=b"a" * 16, id=first.id).key == "elsewhere"
    assert api.get("elsewhere") == b"12"


def test_many_at_once_lose_nothing(api: Api) -> None:
    failed: list[Exception] = []

    def work(n: int) -> None:
        try:
            for step in range(5):
                append(api, "many", b"%02d-%d\n" % (n, step))
        except Exception as error:  # noqa: BLE001 - shown below, whatever it is
            failed.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failed
    assert sorted((api.get("many") or b"").split()) == sorted(b"%02d-%d" % (n, step) for n in range(16) for step in range(5))


def test_appends_follow_the_object_and_keep_to_its_end(api: Api) -> None:
    one = append(api, "moves/a", b"1")
    api.remote.rename("moves", "moved", True)
    assert append(api, "moves/a", b"2", id=one.id).key == "moved/a"
    api.remote.remove("moved/a")
    with pytest.raises(NotFound):
        append(api, "moved/a", b"3", id=one.id)
    assert api.names("moved") == []


def test_what_cannot_be_is_refused(api: Api) -> None:
    append(api, "refused/a", b"1")
    for key, error in (("refused", Conflict), ("refused/a/b", Conflict), ("/x", BadRequest)):
        with pytest.raises(error):
            append(api, key, b"2")
    with pytest.raises(BadRequest):
        api.link.request("POST", "/v1/object/append", encode(Append("refused/a", 5, data=b"less")))
    with pytest.raises(NotFound):
        append(api, "refused/a", b"2", volume="none")
    assert api.get("refused/a") == b"1"


def test_the_stream_tells_each_change_in_order(api: Api) -> None:
    with api.link.stream("/v1/object/watch", encode(Keys())) as stream:
        frames = stream.frames()
        assert next(frames) == b""
        api.put("seen/a", b"1")
        api.remote.rename("seen/a", "seen/b", True)
        api.remote.remove("seen/b")
        api.remote.remove_folder("seen")
        events: list[Event] = []
        while len(events) < 5:
            events += decode(next(frames) or b"\x90", type=list[Event])
    assert [event.key for event in events] == ["seen/a", "seen/a", "seen/b", "seen/b", "seen/"]
    put, left, came, gone, folder = events
    assert put.object is not None and came.object is not None and put.object.id == came.object.id == gone.id
    assert left.object is gone.object is folder.object is None and gone.kept


@pytest.mark.parametrize("asked", [Keys(["a"]), Keys(ids=[1]), Keys(prefix="a")])
def test_single_keys_are_not_watched(api: Api, asked: Keys) -> None:
    with pytest.raises(BadRequest):
        api.link.request("POST", "/v1/object/watch", encode(asked))


def test_a_volume_that_is_not_there_is_not_watched(api: Api) -> None:
    with pytest.raises(NotFound):
        api.link.request("POST", "/v1/object/watch", encode(Keys(volume="none")))


def test_put_and_get_by_id(api: Api) -> None:
    api.put("by/id", b"1")
    one = api.remote.find("by/id")
    assert one is not None
    api.remote.put(New("", 1, data=b"2", id=one.id))
    found = api.remote.get(one.id)
    assert found is not None and found.data == b"2" and found.object.key == "by/id"
    assert api.remote.find_id(one.id) == found.object and api.remote.find_id(one.id + 1000) is None
    assert api.remote.find("by") is not None and api.remote.find("none") is None


class Deaf:
    """A way to the server on which the answer to the first append is lost, after ``meanwhile`` has run."""

    def __init__(self, port: int, meanwhile: Callable[[], object]) -> None:
        self._to, self._meanwhile, self.lost = port, meanwhile, 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._socket.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(near,), daemon=True).start()

    def _serve(self, near: socket.socket) -> None:
        with near, socket.create_connection(("127.0.0.1", self._to)) as far:
            while request := near.recv(1 << 16):
                far.sendall(request)
                answer = far.recv(1 << 16)
                if b"/v1/object/append" in request and not self.lost:
                    self.lost += 1
                    self._meanwhile()
                    return
                near.sendall(answer)


def test_a_client_whose_answer_is_lost_appends_once(api: Api) -> None:
    deaf = Deaf(urlsplit(api.url).port or 0, lambda: append(api, "lost", b"theirs "))
    client = Api(deaf.url, api.key, api.secret)
    client.remote.append(Append("lost", 5, data=b"ours "))
    assert deaf.lost == 1 and api.get("lost") == b"ours theirs "
    client.close()
    deaf.close()
