"""What other programs call the settings and values of this one. Words are written folded, see `nearness.folded`."""

from __future__ import annotations

from collections.abc import Mapping


def _each(**meanings: str) -> Mapping[str, str]:
    """Turn `meaning="word word"` around."""
    return {word: meaning for meaning, words in meanings.items() for word in words.split()}


def _said(*lines: tuple[str, str]) -> Mapping[str, str]:
    return {word: said for words, said in lines for word in words.split()}


_SIZE = 'set width and scale: a result is "width" times "scale" wide'
_GPUS = "GPUs are chosen in flashvsr.toml: [gpu] devices"
_MODEL = "the model is chosen in flashvsr.toml: [model] weights"
_FOLDERS = "folders are set in flashvsr.toml: [paths] and [[inbox]]"

# Keys that a preset has under another name.
PRESET_KEYS = _each(
    scale="upscale upscaling factor upscalefactor scalefactor zoom magnification multiplier",
    quality="crf cq cqp qp rf bitrate videobitrate videoquality",
    codec="videocodec vcodec outputcodec",
    encoder="videoencoder hwenc hardwareencoder hwencoder nvenc",
    audio="audiocodec acodec sound audiotrack audiotracks",
    container="format outputformat extension fileformat fileextension suffix ext",
    color_fix="colourcorrection colorcorrection colour colorfix",
    fit="crop pad padding aspect aspectratio",
    deinterlace="interlace interlaced deinterlacing deinterlacer yadif bwdif",
    seconds="duration length maxseconds maxduration until trim cut preview sample",
    priority="prio importance nice",
    report="writereport log logfile",
)
# Keys that no preset has, and what there is instead.
PRESET_ADVICE = _said(
    ("resolution size dimensions outputsize outputwidth targetsize targetresolution", _SIZE),
    ("height outputheight targetheight", "the height follows from width and scale"),
    ("fps framerate rate", "a result keeps the times of its source's frames"),
    ("device devices gpu gpus cuda", _GPUS),
    ("model weights modelpath", _MODEL),
    ("inbox outbox input output inputfolder outputfolder path paths", _FOLDERS),
)

# Keys of flashvsr.toml under another name: table and key.
CONFIG_KEYS: Mapping[str, tuple[str, str]] = {
    word: home
    for home, words in (
        (("gpu", "devices"), "device gpus gpuids gpuid cudadevice cudavisibledevices visibledevices"),
        (("gpu", "max_concurrent"), "workers threads jobs parallel concurrency maxjobs maxworkers concurrent"),
        (("paths", "inbox"), "input inputfolder inputdir watchfolder watchdir"),
        (("paths", "outbox"), "output outputfolder outputdir results"),
        (("paths", "state"), "database db statedir data datadir workdir tempdir tmpdir cachedir cache"),
        (("paths", "models"), "modelfolder modeldir modelsdir weightsdir"),
        (("model", "weights"), "model modelpath modelname checkpoint"),
        (("watch", "poll_seconds"), "poll pollinterval interval scaninterval scanseconds"),
        (("watch", "settle_seconds"), "settle stable stableseconds settletime"),
        (("watch", "on_success"), "archive deletesource keepsource afterwards ondone"),
        (("queue", "max_attempts"), "retries maxretries attempts tries"),
        (("queue", "min_free"), "freespace minfreespace reserve"),
        (("queue", "stall_seconds"), "stall timeout stalltimeout jobtimeout"),
        (("schedule", "run"), "hours runhours workinghours timewindow window nighthours"),
        (("retention", "days"), "keepdays retentiondays historydays"),
        (("limits", "file_bytes"), "maxsize maxfilesize maxbytes maxfilebytes"),
        (("limits", "frames"), "maxframes"),
        (("limits", "side"), "maxside maxresolution maxwidth maxheight"),
        (("chunks", "size"), "chunksize chunkframes"),
        (("service", "log_level"), "log loglevel logging verbose verbosity"),
    )
    for word in words.split()
}

# Values under another name, by key.
VALUES: Mapping[str, Mapping[str, str]] = {
    "codec": _each(
        h264="x264 avc avc1 libx264 h264nvenc mpeg4avc",
        hevc="h265 x265 libx265 hevcnvenc hvc1 hev1 h265nvenc",
        av1="av01 aom libaom libaomav1 svtav1 libsvtav1 av1nvenc",
    ),
    "encoder": _each(
        software="cpu sw x264 x265 libx264 libx265 soft none off",
        nvenc="gpu cuda nvidia hardware hw hwaccel h264nvenc hevcnvenc",
    ),
    "audio": _each(
        copy="keep original source passthrough same on yes true",
        none="no off mute muted silent false remove drop",
        aac="acc mp4a",
    ),
    "container": _each(mkv="matroska"),
    "color_fix": _each(none="off no false disabled", wavelet="wavelets"),
    "deinterlace": _each(auto="on yes true", off="none no false never"),
    "fit": _each(crop="cut cropped", pad="padding padded letterbox fill extend"),
    "observer": _each(poll="polling scan", inotify="events"),
    "on_success": _each(
        done="finished visible", archive="move moved", delete="remove removed rm", keep="leave nothing none stay"
    ),
    "weights": {"v11": "FlashVSR-v1.1", "flashvsr": "FlashVSR-v1.1", "flashvsr11": "FlashVSR-v1.1", "tiny": "nano"},
    "attention": _each(torch="pytorch sdpa", auto="default", block_sparse_attn="blocksparse blocksparseattention bsa"),
    "precision": _each(fp8="float8 8bit e4m3", int8="integer8 i8 w8a8", auto="bf16 bfloat16 fp16 fp32 float32 default"),
    "cache_offload": _each(cpu="host ram memory", none="off no never gpu false"),
    "video_codec": _each(
        libx264="x264 h264 avc", libx265="x265 h265 hevc", h264_nvenc="nvenc nvench264", hevc_nvenc="h265nvenc"
    ),
    "hwaccel": _each(cuda="nvdec cuvid nvidia gpu"),
    "devices": _each(cuda="gpu gpus nvidia", auto="all any", cpu="none"),
    "stop_mode": _each(finish="drain graceful wait", checkpoint="pause chunk"),
    "log_level": _each(
        warning="warn", error="err errors fatal critical", debug="verbose trace", info="information normal"
    ),
}
