"""Huey with SQLite on disk: no-op tasks through two worker processes, each with its result stored.

python run_huey.py FOLDER COUNT    ->  {"rate": tasks a second from the first enqueue to the last result}
"""

import json
import multiprocessing
import sys
import time

from huey import SqliteHuey

huey = SqliteHuey(filename=f"{sys.argv[1]}/huey.sqlite", fsync=True)


@huey.task()
def noop(message):
    return message + 1


def consume():
    huey.create_consumer(workers=2, worker_type="process", initial_delay=0.001, max_delay=0.001, periodic=False).run()


def finished(count):
    while huey.result_count() < count:
        time.sleep(0.01)


if __name__ == "__main__":
    consumer = multiprocessing.Process(target=consume)
    consumer.start()
    noop(1)
    finished(1)
    count = int(sys.argv[2])
    began = time.perf_counter()
    for number in range(count):
        noop(number)
    finished(count + 1)
    print(json.dumps({"rate": count / (time.perf_counter() - began)}), flush=True)
    consumer.terminate()
    consumer.join()
