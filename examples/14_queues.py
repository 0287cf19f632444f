"""The story with which PiCloud's queues were announced in 2013, as it was written, but for Python 3.

Prints::

    popped: [1, 2, 3]
    waiting: 0 numbers, 1000 bigger numbers
    with up to 5 jobs: 0 numbers, 6000 bigger numbers
    jobs of the handler: done or processing, at most 6
    bigger numbers popped: 1 to 1000, each as often as it was pushed
"""

import sys
import time
from collections import Counter

import cloud

for name in ("numbers", "bigger-numbers"):
    if cloud.queue.exists(name):
        sys.exit(f"you have a queue {name} already, which would be used up here; picloud queue delete {name} removes it")


def wait_until_handled(queue, count):
    """The story says: after ~10 seconds, you'll see that all messages have been processed."""
    deadline = time.monotonic() + 100
    while queue.count() < count and time.monotonic() < deadline:
        time.sleep(0.1)


# First, let's push and pop from a queue to get comfortable.
q = cloud.queue.get("numbers")
# adds 3 messages to the queue
q.push([1, 2, 3])
# pops up to 10 messages
print("popped:", sorted(q.pop()))  # in no order that counts

# Now let's attach a function that increments all numbers in the input queue:
# declare the input and output queue
input_q = cloud.queue.get("numbers")
output_q = cloud.queue.get("bigger-numbers")


# create handler function
def increment(x):
    return x + 1


# attach the handler to the queue
input_q.attach(increment, output_q)

# Let's increment 1,000 numbers:
input_q.push(range(1000))
wait_until_handled(output_q, 1000)

# As a sanity check, we can also check the size of the queues:
print(f"waiting: {input_q.count()} numbers, {output_q.count()} bigger numbers")

# What if you want to increase your throughput? Set _max_parallel_jobs:
input_q.attach(increment, output_q, _max_parallel_jobs=5)
for _ in range(5):
    input_q.push(range(1000))
wait_until_handled(output_q, 6000)
print(f"with up to 5 jobs: {input_q.count()} numbers, {output_q.count()} bigger numbers")

# If you click on "view" jobs, you can see a list of the jobs attached to the queue.
jobs = input_q.jobs()
if 2 <= len(jobs) <= 6 and {job["status"] for job in jobs} <= {"done", "processing", "queued"}:
    print("jobs of the handler: done or processing, at most 6")

# Any queue can be popped, also one of results.
found = Counter()
while some := output_q.pop(timeout=0):
    found.update(some)
if found == Counter(dict.fromkeys(range(1, 1001), 6)):
    print("bigger numbers popped: 1 to 1000, each as often as it was pushed")

for queue in (input_q, output_q):
    queue.delete()
