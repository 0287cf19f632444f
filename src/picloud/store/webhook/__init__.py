"""Webhooks, and the messages that wait to be delivered to them."""
