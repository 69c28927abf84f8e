"""Training clips, cut at random on the training device from videos and from photos set in motion."""

from __future__ import annotations

import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
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
from flashvsr.training.grain import add_grain

VIDEO_SUFFIXES = {".mp4", ".mkv", ".mov", ".webm"}
PHOTO_SUFFIXES = {".jpg", ".jpeg", ".png"}
PHOTO_SIDE = 2048  # longer side after shrinking: sharp at pixel level, whatever the camera's sensor did
RUN = 96  # consecutive frames taken at a time from a long video
CRF = (18, 21, 24, 27)  # qualities of compression, run by run
GRAIN_EVERY = 4  # one of so many runs is there with grain as well
GRAIN_CRF = (20, 24, 28)  # qualities of compression of such runs, in turn
ENCODER_THREADS = "8"  # what x264 makes depends on their number, the machine's if we leave it open
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
    """Source pictures on the training device.

    Attributes:
        videos: films as they are.
        grainy: parts of them with film grain, at full size as a codec left it.
        photos: (3, H, W) uint8 each.
    """

    videos: list[Video]
    grainy: list[Video]
    photos: list[Tensor]

    @classmethod
    def read(cls, paths: Sequence[Path], device: torch.device, frames_per_video: int) -> Footage:
        """Read all videos and photos given or under the folders given.

        Raises:
            BadInput: there is nothing to train on.
        """
        found = [file for path in paths for file in (path.rglob("*") if path.is_dir() else [path])]
        files = sorted({file for file in found if file.is_file()})
        films = [file for file in files if file.suffix.lower() in VIDEO_SUFFIXES]
        with ThreadPoolExecutor() as pool:  # decoders and encoders do not use all cores
            videos = list(pool.map(lambda file: read_video(file, device, frames_per_video), films))
            grainy = list(pool.map(make_grainy, videos, range(len(videos))))
            photos = list(
                pool.map(
                    lambda file: read_photo(file, device), [f for f in files if f.suffix.lower() in PHOTO_SUFFIXES]
                )
            )
        if not videos and not photos:
            raise BadInput(f"no video and no photo in {', '.join(map(str, paths))}: name folders that hold some")
        return cls(videos, grainy, photos)


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
        pictures = list(cut)
    if not pictures:
        raise BadInput(f"{file}: no picture could be decoded; take it out of the training folder")
    return _video(torch.stack(pictures))


def make_grainy(video: Video, seed: int) -> Video:
    """A part of a video, with grain in it and compressed as H.264 at full size: grain as it mostly comes."""
    random = np.random.default_rng(seed)
    runs = [
        _compress(add_grain(run.float(), random).to(torch.uint8), GRAIN_CRF[i % len(GRAIN_CRF)])
        for i, run in enumerate(video.frames.split(RUN)[::GRAIN_EVERY])
    ]
    return _video(torch.cat(runs))


def _video(frames: Tensor) -> Video:
    detail = torch.stack([_detail(picture) for picture in frames]).cpu().numpy()
    halves = [
        _compress(shrink(run.float(), 2, bicubic=False).to(torch.uint8), CRF[i % len(CRF)])
        for i, run in enumerate(frames.split(RUN))
    ]
    return Video(frames, detail, torch.cat(halves))


def _cut(picture: Tensor) -> Tensor:
    """To sides that can be halved twice."""
    height, width = (side // 4 * 4 for side in picture.shape[1:])
    return picture[:, :height, :width]


def _compress(frames: Tensor, crf: int) -> Tensor:
    """Through x264 and back: (n, 3, H, W) uint8, the same of what comes out."""
    options = {"crf": str(crf), "preset": "veryfast", "threads": ENCODER_THREADS}
    pictures = frames.permute(0, 2, 3, 1).contiguous().cpu().numpy()
    packets = io.BytesIO()
    with av.open(packets, "w", format="matroska") as out:
        stream = out.add_stream("libx264", rate=30, options=options)
        stream.height, stream.width = pictures.shape[1:3]
        stream.pix_fmt = "yuv420p"
        for picture in pictures:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(stream.encode())
    packets.seek(0)
    with av.open(packets) as back:
        decoded = [torch.from_numpy(frame.to_ndarray(format="rgb24")) for frame in back.decode(video=0)]
    return torch.stack(decoded).permute(0, 3, 1, 2).contiguous().to(frames.device)


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


@dataclass(frozen=True)
class Proportions:
    """What clips are taken from.

    Attributes:
        photo: of the clips, how many show photos.
        compressed: of the others, how many come with their compressed half.
        grainy: of those others, how many are of videos made grainy.
    """

    photo: float = 0.4
    compressed: float = 0.15
    grainy: float = 0.2


@dataclass(frozen=True)
class Clip:
    """Pictures of one place, mirrored and turned at random.

    Attributes:
        high: (length, 3, side, side) in 0...255, float32.
        low: its compressed half, if it comes with one.
        grainy: of a video made grainy.
    """

    high: Tensor
    low: Tensor | None
    grainy: bool


class ClipSampler:
    """Draws clips of `length` frames of side x side pixels from footage."""

    def __init__(self, footage: Footage, side: int, length: int, shares: Proportions) -> None:
        self.footage, self.side, self.length, self.shares = footage, side, length, shares

    def clip(self, random: np.random.Generator) -> Clip:
        """One clip, the same for the same random numbers."""
        still = bool(self.footage.photos) and random.random() < self.shares.photo
        low, grainy = None, False
        if still or not self.footage.videos:
            clip = self._moving_photo(random)
        else:
            grainy = bool(self.footage.grainy) and random.random() < self.shares.grainy
            clip, low = self._video_crop(self.footage.grainy if grainy else self.footage.videos, random)
        flips = [dim for dim, chance in ((-1, 0.5), (-2, 0.3), (0, 0.3)) if random.random() < chance]
        turned = random.random() < 0.5

        def turn(frames: Tensor) -> Tensor:
            frames = frames.flip(flips) if flips else frames
            return frames.transpose(-1, -2) if turned else frames

        return Clip(turn(clip), None if low is None else turn(low), grainy)

    def _video_crop(self, videos: list[Video], random: np.random.Generator) -> tuple[Tensor, Tensor | None]:
        weights = np.sqrt([len(video.frames) for video in videos])
        video = videos[random.choice(len(videos), p=weights / weights.sum())]
        frames, side = video.frames, self.side
        stride = 2 if len(frames) >= 2 * self.length and random.random() < 0.5 else 1
        span = (self.length - 1) * stride + 1
        start = int(random.integers(0, max(1, len(frames) - span + 1)))
        corners = [self._corner(frames, random) for _ in range(4)]
        # Strong compression leaves most places flat: prefer the lively ones, but not always.
        lively = random.random() < 0.6
        y, x = max(corners, key=lambda corner: self._liveliness(video, start, corner)) if lively else corners[0]
        chosen = slice(start, start + span, stride)
        clip = self._filled(frames[chosen, :, y : y + side, x : x + side])
        if random.random() >= self.shares.compressed:
            return clip, None
        y, x, side = y // 2, x // 2, side // 2
        return clip, self._filled(video.compressed[chosen, :, y : y + side, x : x + side])

    def _filled(self, clip: Tensor) -> Tensor:
        missing = self.length - len(clip)
        clip = clip.float()
        return torch.cat([clip, clip[-1:].expand(missing, -1, -1, -1)]) if missing else clip

    def _corner(self, pictures: Tensor, random: np.random.Generator) -> tuple[int, int]:
        height, width = pictures.shape[-2:]
        # Even, as the halved pictures need it.
        return (
            2 * int(random.integers(0, (height - self.side) // 2 + 1)),
            2 * int(random.integers(0, (width - self.side) // 2 + 1)),
        )

    def _liveliness(self, video: Video, frame: int, corner: tuple[int, int]) -> float:
        (y, x), size = (side // DETAIL_CELL for side in corner), self.side // DETAIL_CELL
        return float(video.detail[frame, y : y + size, x : x + size].mean())

    def _moving_photo(self, random: np.random.Generator) -> Tensor:
        """Pan, zoom and turn over a photo; zoomed out a little, so that the clip is not softer than the photo."""
        photo = self.footage.photos[random.integers(len(self.footage.photos))]
        height, width = photo.shape[-2:]
        scale = random.uniform(1.0, 1.6)  # photo pixels per clip pixel
        turn, zoom = random.normal(0, 0.004), random.normal(0, 0.002)
        speed = random.normal(0, 2.0, 2) * (random.random() < 0.85)
        reach = min(self.side * scale * 0.75, width / 2, height / 2)
        centre = np.array([random.uniform(reach, width - reach), random.uniform(reach, height - reach)])
        angle = random.uniform(0, 2 * np.pi) if random.random() < 0.5 else 0.0
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
