"""Dask distributed: a LocalCluster with one process of one thread a core, in memory."""

import logging
import os

from distributed import Client, LocalCluster
from loop import serve


class Dask:
    def start(self):
        logging.getLogger("distributed").setLevel(logging.ERROR)
        self.cluster = LocalCluster(
            n_workers=os.cpu_count(),
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address=None,
            memory_limit=0,
            silence_logs=logging.ERROR,
        )
        self.client = Client(self.cluster)

    def map(self, function, items):
        return self.client.gather(self.client.map(function, items, pure=False))

    def call(self, function, item):
        return self.client.submit(function, item, pure=False).result()

    def stop(self):
        self.client.close()
        self.cluster.close()


if __name__ == "__main__":
    serve(Dask())
