"""Grants as a programme: calls, applications with what is attached to them, and awards, which become grants of the meter."""
