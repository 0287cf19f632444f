"""Jobs that wait for jobs: a job starts when those it depends on have ended well.

Prints::

    the parts sum to 4950
    a dependency failed: stalled
    errors ignored: done
"""

import cloud


def part(first):
    return sum(range(first, first + 25))


def combine(jids):
    """Runs when the parts are done, so that their results are there at once."""
    return sum(cloud.result(jids))


def broken():
    raise RuntimeError("this one never works")


parts = list(cloud.map(part, range(0, 100, 25)))
total = cloud.call(combine, parts, _depends_on=parts)
print("the parts sum to", cloud.result(total))

bad = cloud.call(broken)
behind = cloud.call(part, 0, _depends_on=bad)
cloud.join([bad, behind], ignore_errors=True)
print("a dependency failed:", cloud.status(behind))

anyway = cloud.call(part, 0, _depends_on=bad, _depends_on_errors="ignore")
cloud.join(anyway)
print("errors ignored:", cloud.status(anyway))
