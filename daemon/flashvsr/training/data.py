"""Training clips, cut at random on the training device from videos and from photos set in motion."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from flashvsr.bench.shrink import shrink
from flashvsr.errors import BadInput
from flashvsr.model.resize import enlarge_values

VIDEO_SUFFIXES = {".mp4", ".mkv", ".mov", ".webm"}
PHOTO_SUFFIXES = {".jpg", ".jpeg", ".png"}
PHOTO_SIDE = 2048  # longer side after shrinking: sharp at pixel level, whatever the camera's sensor did
RUN = 96  # consecutive frames taken at a time from a long video
CRF = (18, 21, 24, 27)  # qualities of compression, run by run
DETAIL_CELL = 16  # pixels per value of a map of detail, along rows and columns


@dataclass(frozen=True)
class Video:
    """A film on the training device.

    Attributes:
        frames: (n, 3, H, W) uint8.
        detail: where they are lively, (n, H/16, W/16).
        compressed: the same frames halved and compressed as H.264, (n, 3, H/2, W/2) uint8.
    """

    frames: Tensor
    detail: npt.NDArray[np.float32]
    compressed: Tensor


@dataclass(frozen=True)
class Footage:
    """Source pictures on the training device; photos are (3, H, W) uint8."""

    videos: list[Video]
    photos: list[Tensor]

    @classmethod
    def read(cls, paths: Sequence[Path], device: torch.device, frames_per_video: int) -> Footage:
        """Read all videos and photos given or under the folders given.

        Raises:
            BadInput: there is nothing to train on.
        """
        found = [file for path in paths for file in (path.rglob("*") if path.is_dir() else [path])]
        files = sorted({file for file in found if file.is_file()})
        videos = [read_video(file, device, frames_per_video) for file in files if file.suffix.lower() in VIDEO_SUFFIXES]
        photos = [read_photo(file, device) for file in files if file.suffix.lower() in PHOTO_SUFFIXES]
        if not videos and not photos:
            raise BadInput(f"no video and no photo in {', '.join(map(str, paths))}: name folders that hold some")
        return cls(videos, photos)


def read_video(file: Path, device: torch.device, limit: int) -> Video:
    """At most about `limit` frames: the whole video, or runs of `RUN` frames spread evenly over it."""
    with av.open(str(file)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        total = stream.frames
        starts = {int(start) for start in np.linspace(0, max(0, total - RUN), max(1, limit // RUN))}
        wanted = {start + i for start in starts for i in range(RUN)} if total > limit else None
        cut = (
            _cut(torch.from_numpy(frame.to_ndarray(format="rgb24")).to(device).permute(2, 0, 1)).contiguous()
            for index, frame in enumerate(container.decode(stream))
            if wanted is None or index in wanted
        )
        pairs = [(picture, _detail(picture)) for picture in cut]
    if not pairs:
        raise BadInput(f"{file}: no picture could be decoded; take it out of the training folder")
    pictures, details = zip(*pairs, strict=True)
    frames = torch.stack(pictures)
    return Video(frames, torch.stack(details).cpu().numpy(), _compress(frames))


def _cut(picture: Tensor) -> Tensor:
    """To sides that can be halved twice."""
    height, width = (side // 4 * 4 for side in picture.shape[1:])
    return picture[:, :height, :width]


def _compress(frames: Tensor) -> Tensor:
    """Halved by averages, through x264 in several qualities: (n, 3, H, W) -> (n, 3, H/2, W/2) uint8."""
    runs = []
    for i, run in enumerate(frames.split(RUN)):
        low = shrink(run.float(), 2, bicubic=False).to(torch.uint8).permute(0, 2, 3, 1).contiguous().cpu().numpy()
        packets = io.BytesIO()
        with av.open(packets, "w", format="matroska") as out:
            stream = out.add_stream("libx264", rate=30, options={"crf": str(CRF[i % len(CRF)]), "preset": "veryfast"})
            stream.height, stream.width = low.shape[1:3]
            stream.pix_fmt = "yuv420p"
            for picture in low:
                out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            out.mux(stream.encode())
        packets.seek(0)
        with av.open(packets) as back:
            decoded = [torch.from_numpy(frame.to_ndarray(format="rgb24")) for frame in back.decode(video=0)]
        runs.append(torch.stack(decoded).permute(0, 3, 1, 2).to(frames.device))
    return torch.cat(runs)


def _detail(picture: Tensor) -> Tensor:
    """Mean absolute difference of neighbouring pixels per cell: (3, H, W) -> (H/16, W/16)."""
    green = picture[1].float()
    slope = F.pad(green.diff(dim=1).abs(), (0, 1)) + F.pad(green.diff(dim=0).abs(), (0, 0, 0, 1))
    return F.avg_pool2d(slope[None], DETAIL_CELL)[0]


def read_photo(file: Path, device: torch.device) -> Tensor:
    """A photo (3, H, W) uint8, shrunk so that its longer side is `PHOTO_SIDE` at most."""
    with av.open(str(file)) as container:
        picture = next(container.decode(video=0)).to_ndarray(format="rgb24")
    photo = torch.from_numpy(picture).to(device).permute(2, 0, 1)
    shrink = PHOTO_SIDE / max(photo.shape[1:])
    if shrink < 1:
        size = [round(side * shrink) for side in photo.shape[1:]]
        photo = F.interpolate(photo[None].float(), size, mode="bicubic", antialias=True)[0]
        photo = photo.round().clamp(0, 255).to(torch.uint8)
    return photo


class ClipSampler:
    """Draws clips of `length` frames of side x side pixels from footage, reproducibly.

    Args:
        photo_share: of the clips, how many show photos.
        compressed_share: of the clips from videos, how many come with their compressed version.
    """

    def __init__(
        self, footage: Footage, side: int, length: int, photo_share: float, compressed_share: float, seed: int
    ) -> None:
        self.footage, self.side, self.length = footage, side, length
        self.photo_share, self.compressed_share = photo_share, compressed_share
        self.random = np.random.default_rng(seed)
        frames = np.array([len(video.frames) for video in footage.videos], dtype=float)
        self.video_weights = np.sqrt(frames) / np.sqrt(frames).sum() if len(frames) else frames

    def clip(self) -> tuple[Tensor, Tensor | None]:
        """A clip (length, 3, side, side) in 0...255, float32, mirrored and turned at random; its compressed half."""
        still = bool(self.footage.photos) and self.random.random() < self.photo_share
        low = None
        if still or not self.footage.videos:
            clip = self._moving_photo()
        else:
            clip, low = self._video_crop()
        flips = [dim for dim, chance in ((-1, 0.5), (-2, 0.3), (0, 0.3)) if self.random.random() < chance]
        turned = self.random.random() < 0.5

        def turn(frames: Tensor) -> Tensor:
            frames = frames.flip(flips) if flips else frames
            return frames.transpose(-1, -2) if turned else frames

        return turn(clip), None if low is None else turn(low)

    def _video_crop(self) -> tuple[Tensor, Tensor | None]:
        video = self.footage.videos[self.random.choice(len(self.footage.videos), p=self.video_weights)]
        frames, side = video.frames, self.side
        stride = 2 if len(frames) >= 2 * self.length and self.random.random() < 0.5 else 1
        span = (self.length - 1) * stride + 1
        start = int(self.random.integers(0, max(1, len(frames) - span + 1)))
        corners = [self._corner(frames) for _ in range(4)]
        # Strong compression leaves most places flat: prefer the lively ones, but not always.
        lively = self.random.random() < 0.6
        y, x = max(corners, key=lambda corner: self._liveliness(video, start, corner)) if lively else corners[0]
        chosen = slice(start, start + span, stride)
        clip = self._filled(frames[chosen, :, y : y + side, x : x + side])
        if self.random.random() >= self.compressed_share:
            return clip, None
        y, x, side = y // 2, x // 2, side // 2
        return clip, self._filled(video.compressed[chosen, :, y : y + side, x : x + side])

    def _filled(self, clip: Tensor) -> Tensor:
        missing = self.length - len(clip)
        clip = clip.float()
        return torch.cat([clip, clip[-1:].expand(missing, -1, -1, -1)]) if missing else clip

    def _corner(self, pictures: Tensor) -> tuple[int, int]:
        height, width = pictures.shape[-2:]
        # Even, as the halved pictures need it.
        return (
            2 * int(self.random.integers(0, (height - self.side) // 2 + 1)),
            2 * int(self.random.integers(0, (width - self.side) // 2 + 1)),
        )

    def _liveliness(self, video: Video, frame: int, corner: tuple[int, int]) -> float:
        (y, x), size = (side // DETAIL_CELL for side in corner), self.side // DETAIL_CELL
        return float(video.detail[frame, y : y + size, x : x + size].mean())

    def _moving_photo(self) -> Tensor:
        """Pan, zoom and turn over a photo; zoomed out a little, so that the clip is not softer than the photo."""
        photo = self.footage.photos[self.random.integers(len(self.footage.photos))]
        height, width = photo.shape[-2:]
        scale = self.random.uniform(1.0, 1.6)  # photo pixels per clip pixel
        turn, zoom = self.random.normal(0, 0.004), self.random.normal(0, 0.002)
        speed = self.random.normal(0, 2.0, 2) * (self.random.random() < 0.85)
        reach = min(self.side * scale * 0.75, width / 2, height / 2)
        centre = np.array([self.random.uniform(reach, width - reach), self.random.uniform(reach, height - reach)])
        angle = self.random.uniform(0, 2 * np.pi) if self.random.random() < 0.5 else 0.0
        steps = np.arange(self.length)
        angles, scales = angle + turn * steps, scale * (1 + zoom) ** steps
        centres = centre + steps[:, None] * speed * scale
        path = np.stack([np.cos(angles) * scales, np.sin(angles) * scales, centres[:, 0], centres[:, 1]])
        cos, sin, middle_x, middle_y = torch.as_tensor(path, device=photo.device)[:, :, None, None]
        axis = torch.arange(self.side, device=photo.device) - (self.side - 1) / 2
        y, x = torch.meshgrid(axis, axis, indexing="ij")
        px = middle_x + cos * x - sin * y
        py = middle_y + sin * x + cos * y
        grid = torch.stack([2 * (px + 0.5) / width - 1, 2 * (py + 0.5) / height - 1], dim=-1).float()
        source = photo[None].float().expand(self.length, -1, -1, -1)
        moved = F.grid_sample(source, grid, mode="bicubic", padding_mode="reflection", align_corners=False)
        return moved.round().clamp(0, 255)


def halve(clip: Tensor, bicubic: bool) -> Tensor:
    """Half size: `shrink` by 2."""
    return shrink(clip, 2, bicubic)


def enlarge(low: Tensor, factor: int) -> Tensor:
    """Larger by the bicubic filter as the service does it: (n, 3, h, w) in 0...255."""
    return enlarge_values(low, (low.shape[-1] * factor, low.shape[-2] * factor))
