"""The ground for files: trees that other people write to, small texts, moves that replace nothing.

Outside of this room nothing below an inbox or outbox is touched by its name: tests/test_doors.py looks at every call.
"""
