"""The floor: what crosses a border between processes. Imports no other room."""

WIRE_VERSION = 1
"""Version of every message on this page; the server speaks this one and the one before."""
