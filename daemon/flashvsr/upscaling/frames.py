"""One picture as decoders and encoders have it, and as the model has it. Pure functions on tensors."""

from __future__ import annotations

import torch
from torch import Tensor

from flashvsr.model.resize import enlarge, place, to_unit, to_whole
from flashvsr.video.decode import Rgb
from flashvsr.video.geometry import Geometry


def enlarged(picture: Tensor, geometry: Geometry) -> Tensor:
    """A decoded frame (h, w, 3) as the model wants it: (3, H, W) in [-1, 1], on the frame's device."""
    return to_unit(place(enlarge(picture.permute(2, 0, 1), geometry.upscaled), geometry.model, geometry.offset))


def finished(frames: Tensor, geometry: Geometry, *, deep: bool = False) -> Tensor:
    """The model's frames (3, n, H, W) as pictures (n, h, w, 3) of 8 bits, or 16 if `deep`, on their device.

    What was added to reach the model's size is taken off; nothing where the picture was cropped.
    """
    if geometry.output != geometry.model:
        x, y = geometry.offset
        frames = place(frames, geometry.output, (-x, -y))
    return to_whole(frames, deep)


def to_model(rgb: Rgb, geometry: Geometry, device: torch.device) -> Tensor:
    """`enlarged` for a frame on the host; waits for the copy to the device."""
    return enlarged(torch.from_numpy(rgb).to(device), geometry)


def from_model(frames: Tensor, geometry: Geometry, *, deep: bool = False) -> Rgb:
    """`finished` for whoever wants the pictures on the host at once."""
    pixels: Rgb = finished(frames, geometry, deep=deep).cpu().numpy()
    return pixels
