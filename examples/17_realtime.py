"""Cores that are ready for you: every call of cloud.realtime.

Prints::

    asked for: 1 core of c1 for 8 hours, pending
    ready: True
    on it: 1024, which cost 0 more
    now for 12 hours
    a hundred thousand: refused, and told asked, reservable, reserved, what
    refused: TypeError
    released: released by hand
"""

import time

import cloud

reserved = cloud.realtime.request("c1", 1, max_duration=8)
number = reserved["request_id"]
print(f"asked for: {reserved['cores']} core of {reserved['type']} for {reserved['max_duration']} hours, {reserved['state']}")

while cloud.realtime.list(number)[0]["start_time"] is None:  # about a second
    time.sleep(0.1)
print("ready:", number in [one["request_id"] for one in cloud.realtime.list()])

jid = cloud.call(pow, 2, 10, _type="c1")
print(f"on it: {cloud.result(jid)}, which cost {cloud.info(jid, 'cost')[jid]['cost']['amount']} more")

print(f"now for {cloud.realtime.change_max_duration(number, 12)['max_duration']} hours")

try:
    cloud.realtime.request("c1", 100_000)
except cloud.CloudException as error:
    print("a hundred thousand: refused, and told", ", ".join(sorted(error.facts)))
try:
    cloud.realtime.request("c1", 1, max_duration=0.5)
except TypeError as error:
    print("refused:", type(error).__name__)

cloud.realtime.release(number)
print("released:", cloud.realtime.list(number)[0]["why"])
