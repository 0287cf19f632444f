"""Jobs that start jobs and wait for them: quicksort, where each half is a job of its own.

A job that waits lends its place to the jobs it waits for, so that the depth is not bounded by the number of cores.

Prints::

    sorted: True
"""

import random

import cloud


def quicksort(numbers):
    if len(numbers) <= 50:
        return sorted(numbers)
    pivot, *rest = numbers
    halves = [n for n in rest if n < pivot], [n for n in rest if n >= pivot]
    low, high = cloud.result(cloud.map(quicksort, halves))
    return [*low, pivot, *high]


numbers = random.Random(7).sample(range(100_000), 500)
print("sorted:", cloud.result(cloud.call(quicksort, numbers)) == sorted(numbers))
