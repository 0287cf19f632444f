"""Ray: one remote call a task, in memory, as many workers as cores."""

import os

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"

import ray
from loop import serve


class Ray:
    def start(self):
        ray.init(
            num_cpus=os.cpu_count(),
            _node_ip_address="127.0.0.1",
            include_dashboard=False,
            log_to_driver=False,
            logging_level="ERROR",
            object_store_memory=1 << 29,
        )
        self.remote = {}

    def _of(self, function):
        if function not in self.remote:
            self.remote[function] = ray.remote(function)
        return self.remote[function]

    def map(self, function, items):
        remote = self._of(function)
        return ray.get([remote.remote(item) for item in items])

    def call(self, function, item):
        return ray.get(self._of(function).remote(item))

    def stop(self):
        ray.shutdown()


if __name__ == "__main__":
    serve(Ray())
