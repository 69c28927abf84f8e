"""Outboxes: put a result where people find it, and only then touch the source."""
