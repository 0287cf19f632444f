"""Pi by throwing darts: one job for each batch, the batches run side by side.

Prints::

    pi is about 3.14
"""

import random

import cloud

BATCHES, DARTS = 16, 100_000


def hits(seed):
    """How many of the darts fall into the quarter circle."""
    dart = random.Random(seed).random
    return sum(dart() ** 2 + dart() ** 2 <= 1 for _ in range(DARTS))


jids = cloud.map(hits, range(BATCHES))
print(f"pi is about {4 * sum(cloud.result(jids)) / (BATCHES * DARTS):.2f}")
