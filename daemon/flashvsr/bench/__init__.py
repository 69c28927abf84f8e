"""Measuring what the product does: how good its pictures are, and how fast they come."""
