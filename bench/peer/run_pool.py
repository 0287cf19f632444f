"""The standard library's multiprocessing.Pool with chunksize 1: in memory, no identity, nothing kept."""

import multiprocessing
import os

from loop import serve


class Pool:
    def start(self):
        self.pool = multiprocessing.Pool(os.cpu_count())

    def map(self, function, items):
        return self.pool.map(function, items, chunksize=1)

    def call(self, function, item):
        return self.pool.apply(function, (item,))

    def stop(self):
        self.pool.terminate()
        self.pool.join()


if __name__ == "__main__":
    serve(Pool())
