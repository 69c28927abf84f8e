"""flashvsr: a watch-folder service for video super-resolution with FlashVSR v1.1."""

__version__ = "0.1.0"
