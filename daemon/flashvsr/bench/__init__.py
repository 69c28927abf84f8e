"""Measuring what the product does: how good its pictures are."""
