"""Secrets of accounts: sealed values under a name. The key is the server's; the store sees bytes."""
