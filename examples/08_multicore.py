"""A job with several cores: as many processors, and as many times the RAM, as it asked for.

Prints::

    4 processors, 15.7 GB of RAM
    the same answer by one core and by four: True
"""

import cloud

NUMBERS = range(20_000, 20_400)


def divisors(n):
    """How many numbers divide n."""
    return sum(n % d == 0 for d in range(1, n + 1))


def alone(numbers):
    return sum(divisors(n) for n in numbers)


def together(numbers):
    """The same by a process for each core of the job."""
    import multiprocessing
    import os

    with multiprocessing.get_context("fork").Pool(os.cpu_count()) as pool:
        return os.cpu_count(), sum(pool.map(divisors, numbers))


one = cloud.call(alone, NUMBERS, _type="f2")
four = cloud.call(together, NUMBERS, _type="f2", _cores=4)
processors, answer = cloud.result(four)
ram = cloud.info(four, "memory.limit")[four]["memory.limit"]
print(f"{processors} processors, {ram / 1e9:.1f} GB of RAM")
print("the same answer by one core and by four:", cloud.result(one) == answer)
