"""PiCloud: the cloud, from your Python prompt, on machines you own.

This package is the platform (server, worker, store, command line). Users import
``cloud``; the two meet only in :mod:`picloud.wire`.
"""

__version__ = "0.1.0"
