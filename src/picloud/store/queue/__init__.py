"""Queues: messages in rows, handed out under tickets, ended with all that comes of them in one transaction."""
