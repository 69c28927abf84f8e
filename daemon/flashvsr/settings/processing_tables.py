"""The tables of flashvsr.toml about the way from a decoded frame to an encoded one.

A field is added here and nowhere else: validation, the commented default file and the environment override
all follow from its declaration.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from flashvsr.settings.device_kinds import (
    DEVICE_FORM,
    FOLDER_FORM,
    PIPELINE_FORM,
    EnvForm,
    GpuDevices,
    PipelineDevices,
    SplitBlock,
    Weights,
)
from flashvsr.settings.kinds import ByteSize, FilePath, Flag, Number, OneOf, Whole
from flashvsr.settings.options import option

MODEL_NAMES = ("auto", "FlashVSR-v1.1", "nano")
ATTENTIONS = ("auto", "triton", "block_sparse_attn", "torch")
VIDEO_CODECS = ("libx264", "h264_nvenc", "libx265", "hevc_nvenc")
X264_PRESETS = (
    *("ultrafast", "superfast", "veryfast", "faster", "fast"),
    *("medium", "slow", "slower", "veryslow", "placebo"),
)
NVENC_PRESETS = ("p1", "p2", "p3", "p4", "p5", "p6", "p7")
NVENC_RATE_CONTROLS = ("vbr_hq", "vbr", "cbr_hq", "cbr", "constqp")
FLAG_FORM = EnvForm(Flag().from_text, "0 or 1")


@dataclass(frozen=True)
class Gpu:
    """[gpu]: which GPUs get a worker process."""

    devices: str | tuple[int | str, ...] = field(
        default="auto",
        metadata=option(
            GpuDevices(),
            "GPUs to use. auto takes all of them, or the processor where there is none. cuda takes all of them, and "
            "fails where there is none. Numbers are those of nvidia-smi.",
            env="FLASHVSR_DEVICE",
            env_form=DEVICE_FORM,
        ),
    )
    max_concurrent: int = field(
        default=0,
        metadata=option(
            Whole(0, 1024),
            "How many jobs run at the same time at most. 0 is one for each GPU.",
            env="MAX_CONCURRENT_TASKS",
        ),
    )


@dataclass(frozen=True)
class Model:
    """[model]: weights, what computes with them, and where their caches live."""

    weights: str = field(
        default="auto",
        metadata=option(
            Weights(MODEL_NAMES),
            "Which model to use. auto takes FlashVSR-v1.1 where there is a GPU, and fetches it at the first job. Where "
            "there is none, it takes the small nano model inside the package. The report of a result always names its "
            "model.",
            env="FLASHVSR_MODEL_PATH",
            env_form=FOLDER_FORM,
        ),
    )
    prompt: Path | None = field(
        default=None,
        metadata=option(
            FilePath(optional=True),
            "File of the prompt tensor, if it is not posi_prompt.pth in the folder of the weights.",
            env="FLASHVSR_PROMPT_TENSOR_PATH",
        ),
    )
    version: str = field(
        default="v1.1", metadata=option(OneOf(("v1.1",)), "Version of the model.", env="FLASHVSR_VERSION")
    )
    variant: str = field(
        default="tiny_long",
        metadata=option(OneOf(("tiny_long",)), "Variant of the model.", env="DEFAULT_MODEL_VARIANT"),
    )
    attention: str = field(
        default="auto",
        metadata=option(
            OneOf(ATTENTIONS),
            "What computes the model's attention. auto is right for nearly everybody: it takes triton where it can, "
            "else torch. triton needs a GPU of compute capability 8.0 or newer. torch works everywhere and is many "
            "times slower. block_sparse_attn is a CUDA extension that third_party/install_block_sparse_attn builds.",
            env="FLASHVSR_ATTENTION",
        ),
    )
    precision: str = field(
        default="auto",
        metadata=option(
            OneOf(("auto", "int8", "fp8")),
            "How exactly the model computes. int8 computes the transformer's matrix products in 8 bits: faster, and a "
            "little less exact. fp8 computes its attention in 8 bits, too. int8 needs a GPU of compute capability 8.0 "
            "or newer, fp8 one of 9.0 or newer. auto computes in bfloat16 where the GPU can, else in float32.",
            env="FLASHVSR_PRECISION",
        ),
    )
    cache_offload: str = field(
        default="auto",
        metadata=option(
            OneOf(("auto", "cpu", "none")),
            "Whether the model keeps its attention caches in main memory instead of the GPU's: slower, and much less "
            "of the GPU's memory is needed. cpu always does, none never, auto for GPUs with up to "
            "cache_offload_threshold_gb.",
            env="FLASHVSR_CACHE_OFFLOAD",
        ),
    )
    cache_offload_threshold_gb: float = field(
        default=24,
        metadata=option(
            Number(0, 100000),
            "Up to so much memory of the GPU, in GB of 1024³ bytes, auto keeps the caches in main memory.",
            env="FLASHVSR_CACHE_OFFLOAD_AUTO_THRESHOLD_GB",
        ),
    )


@dataclass(frozen=True)
class Pipeline:
    """[pipeline]: one video split over several GPUs."""

    devices: tuple[int, ...] = field(
        default=(),
        metadata=option(
            PipelineDevices(),
            "GPUs that share the transformer for one video, in the order of the stages. Does not work yet: anything "
            "but [] is refused.",
            env="FLASHVSR_PP_DEVICES",
            env_form=PIPELINE_FORM,
        ),
    )
    split_block: str | int = field(
        default="auto",
        metadata=option(
            SplitBlock(),
            "Number of transformer blocks in the first stage; auto is the middle. Does not work yet: anything but auto "
            "is refused.",
            env="FLASHVSR_PP_SPLIT_BLOCK",
        ),
    )
    overlap: bool = field(
        default=False,
        metadata=option(
            Flag(),
            "Run the first stage of the next window beside the second stage of this one. Same output. Does not work "
            "yet: true is refused.",
            env="FLASHVSR_PP_OVERLAP",
            env_form=FLAG_FORM,
        ),
    )
    overlap_mode: str = field(
        default="basic",
        metadata=option(
            OneOf(("basic", "aggressive")),
            "basic overlaps two stages, aggressive three. Does not work yet: aggressive is refused.",
            env="FLASHVSR_PP_OVERLAP_MODE",
        ),
    )


@dataclass(frozen=True)
class Streaming:
    """[streaming]: the flow of decoded frames into the model."""

    lq_max_bytes: int = field(
        default=0,
        metadata=option(
            ByteSize(),
            "Memory for decoded frames that wait for the model. 0 is enough for prefetch_frames, and for 50 frames at "
            "least. A smaller value is raised, with a warning. Units are powers of 1024.",
            env="FLASHVSR_STREAMING_LQ_MAX_BYTES",
        ),
    )
    prefetch_frames: int = field(
        default=25,
        metadata=option(
            Whole(1, 10000),
            "How many frames are decoded before the model starts.",
            env="FLASHVSR_STREAMING_PREFETCH_FRAMES",
        ),
    )
    decode_threads: int = field(
        default=2,
        metadata=option(
            Whole(1, 64),
            "Threads that decode a video. For HEVC they share one frame at a time.",
            env="FLASHVSR_STREAMING_DECODE_THREADS",
        ),
    )


@dataclass(frozen=True)
class Chunks:
    """[chunks]: the unit of durability. Sizes in frames."""

    min_frames: int = field(
        default=0,
        metadata=option(
            Whole(0, 10**9),
            "Videos of more frames than this are saved in chunks.",
            env="FLASHVSR_CHUNKED_SAVE_MIN_FRAMES",
        ),
    )
    size: int = field(
        default=240,
        metadata=option(
            Whole(0, 10**9),
            "Frames in a chunk. An interruption costs no more than one chunk. 0 writes one file at the end.",
            env="FLASHVSR_CHUNKED_SAVE_CHUNK_SIZE",
        ),
    )


@dataclass(frozen=True)
class SourceLimits:
    """[limits]: sources that are refused. Files say anything about themselves, and some say it to do harm."""

    file_bytes: int = field(
        default=0, metadata=option(ByteSize(), "Largest source file. 0 is no limit. Units are powers of 1024.")
    )
    frames: int = field(default=10_000_000, metadata=option(Whole(0, 10**9), "Most frames of a video. 0 is no limit."))
    side: int = field(
        default=8192, metadata=option(Whole(16, 65535), "Largest width and height of a source, in pixels.")
    )
    memory: int = field(
        default=2 << 30,
        metadata=option(
            ByteSize(),
            "Most memory that opening a source may take. Each source is opened first in a process of its own, which "
            "the kernel holds to this. 0 is no limit. Units are powers of 1024.",
        ),
    )


@dataclass(frozen=True)
class Preprocess:
    """[preprocess]: how the source is brought to size. All but `mode` and `hwaccel` matter for mode "file" only."""

    mode: str = field(
        default="stream",
        metadata=option(
            OneOf(("stream", "file")),
            "stream scales the source while it is decoded, and needs no temporary file. file writes an MP4 of that "
            "size first, with the settings below, and removes it afterwards.",
            env="PREPROCESS_MODE",
        ),
    )
    video_codec: str = field(
        default="libx264",
        metadata=option(OneOf(VIDEO_CODECS), "Encoder of that file.", env="PREPROCESS_FFMPEG_VIDEO_CODEC"),
    )
    preset: str = field(
        default="veryfast",
        metadata=option(OneOf(X264_PRESETS), "Speed of libx264 and libx265.", env="PREPROCESS_FFMPEG_PRESET"),
    )
    crf: int = field(
        default=23,
        metadata=option(Whole(0, 51), "Quality of libx264 and libx265. 0 is the best.", env="PREPROCESS_FFMPEG_CRF"),
    )
    hwaccel: str = field(
        default="",
        metadata=option(
            OneOf(("", "cuda")),
            "cuda decodes on the GPU, in both modes. Where it cannot, the processor does, with a warning.",
            env="PREPROCESS_FFMPEG_HWACCEL",
        ),
    )
    nvenc_preset: str = field(
        default="p5",
        metadata=option(OneOf(NVENC_PRESETS), "Speed of the NVENC encoders.", env="PREPROCESS_NVENC_PRESET"),
    )
    nvenc_rc: str = field(
        default="vbr_hq",
        metadata=option(OneOf(NVENC_RATE_CONTROLS), "Rate control of the NVENC encoders.", env="PREPROCESS_NVENC_RC"),
    )
    nvenc_cq: int = field(
        default=21,
        metadata=option(Whole(0, 51), "Quality of the NVENC encoders. 0 is automatic.", env="PREPROCESS_NVENC_CQ"),
    )
