"""A function that runs by itself, by the clock: every call of cloud.cron.

Prints::

    registered: nightly-report
    next: 03:30 in Berlin, on Mondays
    by hand: 42
    runs: 1, asked by hand
    every ten minutes: True
    a day that comes once: the 29th of February, if it is a Monday
    refused: 61 is no minute
    gone: []
"""

import sys
from datetime import datetime
from zoneinfo import ZoneInfo

import cloud

if cloud.cron.list():
    sys.exit("you have crons already, which would be among those listed here")


def report():
    return 6 * 7


# Five fields: minute, hour, day, month, weekday. In UTC, unless a time zone is named.
cloud.cron.register(report, "nightly-report", "30 3 * * mon", timezone="Europe/Berlin")
print("registered:", *cloud.cron.list())

about = cloud.cron.info("nightly-report")
due = about["next_run"].astimezone(ZoneInfo("Europe/Berlin"))
print(f"next: {due:%H:%M} in Berlin, on {due:%A}s")

# Whatever its time is: run it now.
jid = cloud.cron.manual_run("nightly-report")
print("by hand:", cloud.result(jid))
(run,) = cloud.cron.runs("nightly-report")
print(f"runs: 1, asked by {run['why']}")

# Registered once more it is replaced: a label has one cron.
cloud.cron.register(report, "nightly-report", "*/10 * * * *")
print("every ten minutes:", cloud.cron.info("nightly-report")["next_run"].minute % 10 == 0)

# Day and weekday must both match, as in PiCloud; day_or=True gives the rule of Unix, where one of them is enough.
cloud.cron.register(report, "nightly-report", "0 12 29 feb mon")
due = cloud.cron.info("nightly-report")["next_run"]
assert (due.day, due.month, due.weekday()) == (29, 2, 0) and due > datetime.now(due.tzinfo), due
print("a day that comes once: the 29th of February, if it is a Monday")

try:
    cloud.cron.register(report, "nightly-report", "61 * * * *")
except ValueError as error:
    print("refused:", "61 is no minute" if "61" in str(error) else error)

cloud.cron.deregister("nightly-report")
print("gone:", list(cloud.cron.list()))
