"""PiCloud, on the server that PICLOUD_HOME names."""

from loop import serve

import cloud


class PiCloud:
    def start(self):
        pass

    def map(self, function, items):
        return cloud.result(cloud.map(function, items))

    def call(self, function, item):
        return cloud.result(cloud.call(function, item))

    def stop(self):
        cloud.close()


if __name__ == "__main__":
    serve(PiCloud())
