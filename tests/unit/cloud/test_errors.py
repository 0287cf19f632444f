"""What becomes of a message that its handler raised at."""

from __future__ import annotations

import threading
import urllib.error
from email.message import Message

import cloudpickle
import pytest

from cloud._errors import Edge, Edges, Rules, failure_of, sent
from cloud._retry import MaxRetryException, Retry
from picloud.wire.payload import loads


def test_an_exception_arrives_as_it_is() -> None:
    found = loads(cloudpickle.dumps(sent(FileNotFoundError(2, "no", "x"))))
    assert type(found) is FileNotFoundError and found.filename == "x"


def test_one_that_holds_its_connection_arrives_without_it() -> None:
    with open("/dev/null", "rb") as connection:
        found = sent(urllib.error.HTTPError("http://host/x", 503, "busy", Message(), connection))
    assert isinstance(found, urllib.error.HTTPError) and str(found) == "HTTP Error 503: busy"
    assert (found.code, found.url, found.fp) == (503, "http://host/x", None) and not hasattr(found, "nothing")
    again = loads(cloudpickle.dumps({"exception": found}))["exception"]
    assert (type(again), again.code, str(again)) == (urllib.error.HTTPError, 503, "HTTP Error 503: busy"), "it may be sent on"


def test_one_that_misleads_about_itself_arrives() -> None:
    class Locked(Exception):
        def __reduce__(self) -> tuple[object, ...]:
            return threading.Lock, ()

    found = sent(Locked("shut", threading.Lock()))
    assert type(found).__name__ == "Locked" and found.args[0] == "shut" and "lock" in found.args[1]


def test_one_that_cannot_travel_at_all_is_told_in_words() -> None:
    class Locked(Exception):
        lock = threading.Lock()

    found = sent(Locked("shut"))
    assert type(found) is RuntimeError and str(found) == "Locked: shut"
    told = failure_of(Locked("shut"), "Traceback ..")
    assert (told.message, told.exception, told.traceback) == ("Locked: shut", b"", "Traceback ..")


def test_a_dead_letter_is_bounded_whatever_the_exception_holds() -> None:
    told = failure_of(ValueError("x" * 10_000_000), "y" * 1_000_000)
    assert len(told.message) == 2_000 and len(told.traceback) == 24_000 and told.exception == b""


@pytest.mark.parametrize(
    ("error", "retries", "delay"),
    [
        (KeyError(1), 0, 5000),
        (KeyError(1), 1, 5000),
        (KeyError(1), 2, None),
        (LookupError(1), 0, None),
        (Retry(), 1, 5000),
        (Retry(), 2, None),
        (Retry(delay=1, max_retries=9), 8, 1000),
        (Retry(max_retries=0), 0, None),
    ],
)
def test_when_a_message_is_tried_again(error: Exception, retries: int, delay: int | None) -> None:
    assert Rules((KeyError,), 2, 5000).delay(error, retries) == delay


def test_a_retry_alone_has_its_own_limits() -> None:
    assert [Rules().delay(Retry(), retries) for retries in range(4)] == [0, 0, 0, None]


def test_the_nearest_class_chooses_the_way() -> None:
    edges = Edges((Edge(Exception, "any"), Edge(LookupError, "lookup"), Edge(KeyError, "key")))
    for error, queue in ((KeyError(1), "key"), (IndexError(1), "lookup"), (OSError(1), "any")):
        found = edges.find(error)
        assert found is not None and found.queue == queue
    assert Edges((Edge(KeyError, "key"),)).find(OSError()) is None


def test_what_was_tried_too_often_goes_by_what_it_failed_with() -> None:
    rules = Rules((KeyError,), 1, 0)
    final = rules.final(KeyError("x"), 1)
    assert isinstance(final, MaxRetryException) and isinstance(final.inner_excp_value, KeyError)
    key, worn = Edge(KeyError, "key"), Edge(MaxRetryException, "worn")
    assert Edges((key,)).find(final) == key and Edges((key, worn)).find(final) == worn
    assert rules.final(OSError(), 0).__class__ is OSError
