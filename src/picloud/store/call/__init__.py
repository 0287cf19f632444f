"""Stored calls: functions that run without their author."""
