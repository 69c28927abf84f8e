"""preset.toml: what happens to the videos of one inbox. Read, checked, overridden and written here."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from pathlib import Path

from flashvsr.errors import BadConfig
from flashvsr.files.objects import Unusable, object_of
from flashvsr.files.texts import read_text
from flashvsr.files.trees import Trees
from flashvsr.settings.bounds import PRESET_LIMITS
from flashvsr.settings.document import Document, parse, parse_value, raise_problems, read_table
from flashvsr.settings.kinds import Dimensions, Flag, Number, OneOf, Whole, shown
from flashvsr.settings.options import comment_block, option, render
from flashvsr.settings.suggestions import for_preset_key
from flashvsr.settings.template_kind import NameTemplate

PRESET_NAME = "preset.toml"
PRESET_ERROR_NAME = "preset.error.txt"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Preset:
    """The options of one inbox; a job keeps those it was claimed with."""

    width: int = field(
        default=0,
        metadata=option(
            Whole(128, 4096, also=(0,)),
            "0 gives the model the source at its own size. Another number makes the longer side of the source that "
            "long first, smaller or larger. Then the model makes it scale times as large: 960 with a scale of 2 gives "
            "1920. Odd numbers become the next even one. Common: 640 768 896 960 1024 1152 1280.",
        ),
    )
    scale: float = field(
        default=2.0,
        metadata=option(Number(1, 8), "How many times wider and higher the result is than what the model gets."),
    )
    limit: str = field(
        default="auto",
        metadata=option(
            Dimensions(128, 16384, words=("auto", "")),
            "The largest result, for a wide picture; it is turned for a high one. What would be larger is made "
            "smaller before the model, just as far as needed. auto is 1920x1080, 2560x1440 or 3840x2160: the largest "
            'for which the GPU has memory; 1920x1080 without a GPU. "" is no limit.',
        ),
    )
    at_limit: str = field(
        default="skip",
        metadata=option(
            OneOf(("skip", "restore")),
            "What happens to a video that is as large already as its result may be. skip leaves it alone, and the "
            "status says so. restore sends it through the model all the same, and the result has its size.",
        ),
    )
    quality: int = field(
        default=6, metadata=option(Whole(1, 10), "Quality of the result. 10 is the best, and makes the largest file.")
    )
    fit: str = field(
        default="pad",
        metadata=option(
            OneOf(("crop", "pad")),
            "The model works on multiples of 128 pixels. pad adds to the edges and takes that off again afterwards: "
            "nothing of the picture is lost, 960x540 at a scale of 2 becomes 1920x1080. crop cuts the edges evenly "
            "down to the next multiple, which is a little faster: 1920x1024.",
        ),
    )
    sparse_ratio: float = field(
        default=2.0,
        metadata=option(
            Number(1, 4),
            "Leave this alone unless you know the model. It says how many parts of the picture the model "
            "compares with each other. More is slower and steadier.",
        ),
    )
    local_range: int = field(
        default=11,
        metadata=option(
            Whole(7, 15, odd=True),
            "Leave this alone unless you know the model. It says how far apart such parts may lie: the model "
            "looks around each one in a square of so many blocks of 128 pixels.",
        ),
    )
    seed: int = field(default=0, metadata=option(Whole(0), "The same file, preset and seed give the same picture."))
    color_fix: str = field(
        default="adain",
        metadata=option(
            OneOf(("adain", "wavelet", "none")), "How the colours of the result are kept near those of the source."
        ),
    )
    deinterlace: str = field(
        default="auto",
        metadata=option(
            OneOf(("auto", "off")),
            "Interlaced video shows two half pictures at once, as combs where something moves. auto finds it by its "
            "flags and by the picture, and makes one clean picture of each frame. off leaves the combs to the model.",
        ),
    )
    codec: str = field(default="h264", metadata=option(OneOf(("h264", "hevc", "av1")), "Codec of the result."))
    encoder: str = field(
        default="auto",
        metadata=option(
            OneOf(("auto", "software", "nvenc")),
            "What encodes the result: the GPU (nvenc) or the processor (software). nvenc becomes software, with a "
            "warning, where the GPU has no encoder.",
        ),
    )
    audio: str = field(
        default="copy",
        metadata=option(
            OneOf(("copy", "aac", "none")),
            "Sound of the result. copy keeps it as it is. A track that players of such a file do not take becomes AAC.",
        ),
    )
    container: str = field(
        default="mp4",
        metadata=option(OneOf(("mp4", "mkv")), "Kind of file that the result is, and the ending of its name."),
    )
    seconds: float = field(
        default=0,
        metadata=option(
            Number(0, 86400),
            "0 makes all of the video. Another number makes so many seconds of its beginning, picture and sound, as "
            "a sample: 10 is soon done. The result has its usual name.",
        ),
    )
    priority: int = field(
        default=0,
        metadata=option(
            Whole(-10, 10),
            "Which inbox comes first: videos of one with a higher number are done before all others that wait. Among "
            "equals, the video that came first. `flashvsr first ID` puts single ones before everything else.",
        ),
    )
    name: str = field(
        default="{stem}",
        metadata=option(
            NameTemplate(),
            "How the result is called. {stem} is the name of the source without its ending, {width} and {height} the "
            "size of the result, {scale} the scale above, {model} the model, {preset} the folder that this preset "
            "lies in. Of two sources that differ in their ending only, {stem} has that too: clip (mov).",
        ),
    )
    companions: bool = field(
        default=True,
        metadata=option(
            Flag(),
            "true copies what lies beside the source and begins with its name, such as clip.srt, clip.en.srt or "
            "clip.nfo, beside the result, under the name of the result. These are .srt .ass .ssa .vtt .sub .idx .nfo "
            ".jpg .jpeg .png. A source that is moved takes them along. false leaves them alone.",
        ),
    )
    report: bool = field(
        default=False,
        metadata=option(
            Flag(),
            "true writes a text beside each result, its name with .report.toml. It has the facts of the source, what "
            "was done, how fast, and all warnings. `flashvsr status ID` shows the same.",
        ),
    )

    compare: bool = field(
        default=False,
        metadata=option(
            Flag(),
            "true writes a picture beside each result, its name with .compare.jpg. It shows one frame, half of the "
            "source and half of the result, and enlarged the place that has gained most.",
        ),
    )

    @property
    def largest(self) -> tuple[int, int] | None:
        """`limit` as numbers: (width, height) of the largest wide result; None where there is none, or not yet."""
        if self.limit in ("", "auto"):
            return None
        width, height = self.limit.split("x")
        return int(width), int(height)

    def fixed(self, largest: tuple[int, int]) -> Preset:
        """With numbers for a limit of "auto": the largest (width, height) for which the device has memory."""
        return replace(self, limit="{}x{}".format(*largest)) if self.limit == "auto" else self


def load_preset(trees: Trees, path: Path, default_quality: int = 6) -> Preset:
    """Read and check a preset file. Raises BadConfig with all problems: file, line, key, found, allowed."""
    try:
        text = read_text(trees, path, PRESET_LIMITS.bytes)
    except FileNotFoundError as error:
        homeless = is_missing(trees, path.parent)
        missing = "its folder does not exist; is the share mounted?" if homeless else "there is no such file"
        raise BadConfig(f"{path}: {missing}") from error
    return parse_preset(text, str(path), default_quality)


def parse_preset(text: str, origin: str, default_quality: int = 6) -> Preset:
    """Check the text of a preset; `origin` names it in messages. Raises BadConfig with all problems."""
    if text == default_preset_text(default_quality):
        return Preset(quality=default_quality)  # that of nearly all inboxes, which may be thousands
    problems: list[str] = []
    document = parse(text, origin, problems, PRESET_LIMITS)
    if document is None:
        raise BadConfig(problems[0])
    return _checked(document, Preset(quality=default_quality), problems)


def override(preset: Preset, assignments: Sequence[str]) -> Preset:
    """Apply `key=value` assignments, values as in TOML, bare words being text; later ones win.

    Raises BadConfig with all problems.
    """
    problems: list[str] = []
    data: dict[str, object] = {}
    for assignment in assignments:
        key, equals, text = (part.strip() for part in assignment.partition("="))
        if not equals or not re.fullmatch(r"[A-Za-z0-9_-]+", key):
            problems.append(f"{shown(assignment)}: expected key=value, such as width=1280")
        else:
            data[key] = parse_value(text, PRESET_LIMITS)
    return _checked(Document("command line", data), preset, problems)


def with_values(preset: Preset, values: Mapping[str, object], origin: str) -> Preset:
    """The preset with other values for some of its keys, checked as those of a file; `origin` names them in messages.

    Raises BadConfig with all problems.
    """
    return _checked(Document(origin, values), preset, [])


def preset_to_json(preset: Preset) -> str:
    """Write a preset for the queue's database."""
    return json.dumps(asdict(preset))


def preset_from_json(text: str) -> Preset:
    """Read what `preset_to_json` wrote, with the checks of a file; raises BadConfig."""
    if len(text) > PRESET_LIMITS.bytes:
        raise BadConfig("the preset stored with the job is damaged: too long")
    try:
        data = object_of(text)
    except Unusable as error:
        raise BadConfig(f"the preset stored with the job is damaged: {error}") from error
    return _checked(Document("preset stored with the job", data), Preset(), [])


def preset_of_job(text: str | None) -> Preset:
    """The preset that a job was claimed with, as its row has it; the default one where that cannot be read.

    A damaged row, or one of another version of flashvsr, is no reason to stop a job: its next claim stores the preset
    of its inbox again.
    """
    try:
        return preset_from_json(text) if text else Preset()
    except BadConfig as error:
        log.warning("%s", error)
        return Preset()


def preset_text(preset: Preset, heading: str) -> str:
    """A commented preset.toml that shows every option; `heading` says what it is for."""
    return f"{comment_block(heading)}\n{render(Preset, preset)}"


@lru_cache(maxsize=1)
def default_preset_text(default_quality: int = 6) -> str:
    """The preset that a new inbox is given."""
    return preset_text(
        Preset(quality=default_quality),
        "What happens to the videos in this folder. Edit and save: it applies to the next video that starts. "
        f"If something is wrong with it, the videos wait and {PRESET_ERROR_NAME} beside it says why. "
        "With the values below a video becomes twice as wide and high: 854x480 becomes 1708x960, and 1920x1080 becomes "
        "3840x2160 where the GPU has the memory for it. Without a GPU nothing becomes larger than 1920x1080. A video "
        "that is as large already as it may become, such as 4K, is left alone. A minute of 480p takes about 30 seconds "
        "on an H200 GPU, about 20 minutes on two cores without one.",
    )


def _checked(document: Document, defaults: Preset, problems: list[str]) -> Preset:
    accepted = read_table(Preset, document.data, document, problems, advise=for_preset_key)
    raise_problems(problems)
    return replace(defaults, **{key: setting.value for key, setting in accepted.items()})


def is_missing(trees: Trees, path: Path) -> bool:
    """Whether surely nothing has this name."""
    try:
        return not trees.exists(path)
    except OSError:  # loading the preset says what is wrong
        return False
