"""A job that fails for a while, is tried again, and then succeeds; and one whose error is not worth a retry.

Prints::

    it answers
    attempts: more than one
    ValueError: no such thing
    attempts: one
"""

import time

import cloud


def ask(opens):
    """A service that opens its doors at a given time."""
    if time.time() < opens:
        raise ConnectionError("nobody there yet")
    return "it answers"


def refuse():
    raise ValueError("no such thing")


def attempts(jid):
    return "more than one" if len(cloud.info(jid, "attempts")[jid]["attempts"]) > 1 else "one"


jid = cloud.call(ask, time.time() + 2, _retries=30, _retry_delay=0.2, _retry_on=[ConnectionError])
print(cloud.result(jid))
print("attempts:", attempts(jid))

jid = cloud.call(refuse, _retries=20, _retry_delay=0.2, _retry_on=[ConnectionError])
try:
    cloud.result(jid)
except cloud.CloudException as error:
    original = error.__cause__  # the exception that the job raised
    print(f"{type(original).__name__}: {original}")
print("attempts:", attempts(jid))
