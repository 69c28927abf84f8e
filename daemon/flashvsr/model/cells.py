"""How many pixels of a picture, along rows and columns, stand behind one of what the networks work on."""

from __future__ import annotations

from flashvsr.kernels.shapes import BLOCK_SIDE

LATENT_CELL = 8  # pixels of a latent pixel
TOKEN_CELL = 16  # pixels of a token
BLOCK_CELL = BLOCK_SIDE * TOKEN_CELL  # pixels of a block: height and width of the model's picture are multiples of it
