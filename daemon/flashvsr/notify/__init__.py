"""Tells people what happened: messages by Apprise, and signs of life for a monitor. Knows no model and no video."""
