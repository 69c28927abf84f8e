"""What is suggested for a wrong key or value: the thing meant, or nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from flashvsr.errors import BadConfig
from flashvsr.settings.config import TABLES
from flashvsr.settings.kinds import OneOf
from flashvsr.settings.nearness import folded, nearest
from flashvsr.settings.options import keys, options
from flashvsr.settings.preset import Preset, parse_preset
from flashvsr.settings.suggestions import for_preset_key
from flashvsr.settings.synonyms import CONFIG_KEYS, PRESET_ADVICE, PRESET_KEYS, VALUES
from kits.settings_text import problems

SIZE = 'set width and scale: a result is "width" times "scale" wide'
NAMED_SIZE = 'a result is "width" times "scale" wide: width = 960 and scale = 2 make 1920'
GPUS = "GPUs are chosen in flashvsr.toml: [gpu] devices"
KNOWN = "known here: " + ", ".join(keys(Preset))
QUOTES = 'text needs quotes, as in key = "text", and true and false are lower case'
YES = "yes is written true and no is written false, in lower case; other text needs quotes"
POINT = "a number has a point and no comma: one and a half is 1.5"
ALONE = "a number stands alone, without a unit; text needs quotes"
EQUALS = "write key = value, with an equals sign"


def hint(text: str) -> str:
    """What stands behind the first semicolon of the only problem; an empty text if there is none."""
    with pytest.raises(BadConfig) as caught:
        parse_preset(text, "p.toml")
    return str(caught.value).partition("; ")[2]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # Slips.
        ("widht = 960", 'did you mean "width"?'),
        ("Width = 960", 'did you mean "width"?'),
        ("colour_fix = 'none'", 'did you mean "color_fix"?'),
        ("colorFix = 'none'", 'did you mean "color_fix"?'),
        ("sparse-ratio = 2", 'did you mean "sparse_ratio"?'),
        ("sparse = 2", 'did you mean "sparse_ratio"?'),
        ("qualty = 6", 'did you mean "quality"?'),
        ("fti = 'pad'", 'did you mean "fit"?'),
        ("deinterlase = 'off'", 'did you mean "deinterlace"?'),
        ("fit = 'Pad'", 'did you mean "pad"?'),
        ("fit = 'corp'", 'did you mean "crop"?'),
        ("codec = 'H.264'", 'did you mean "h264"?'),
        ("codec = 'h246'", 'did you mean "h264"?'),
        ("container = '.mp4'", 'did you mean "mp4"?'),
        ("encoder = 'NVENC '", 'did you mean "nvenc"?'),
        # Other names of keys.
        ("resolution = '1920x1080'", SIZE),
        ("size = 1920", SIZE),
        ("height = 1080", "the height follows from width and scale"),
        ("crf = 20", 'it is called "quality" here'),
        ("bitrate = '8M'", 'it is called "quality" here'),
        ("fps = 30", "a result keeps the times of its source's frames"),
        ("format = 'mkv'", 'it is called "container" here'),
        ("audio_codec = 'aac'", 'it is called "audio" here'),
        ("video_codec = 'h264'", 'it is called "codec" here'),
        ("upscale = 2", 'it is called "scale" here'),
        ("factor = 2", 'it is called "scale" here'),
        ("device = 0", GPUS),
        ("model = 'nano'", "the model is chosen in flashvsr.toml: [model] weights"),
        ("outbox = '/x'", "folders are set in flashvsr.toml: [paths] and [[inbox]]"),
        # Other names of values.
        ("codec = 'h265'", '"h265" is called "hevc" here'),
        ("codec = 'H.265'", '"H.265" is called "hevc" here'),
        ("codec = 'x265'", '"x265" is called "hevc" here'),
        ("codec = 'x264'", '"x264" is called "h264" here'),
        ("codec = 'avc'", '"avc" is called "h264" here'),
        ("codec = 'AV01'", '"AV01" is called "av1" here'),
        ("encoder = 'cpu'", '"cpu" is called "software" here'),
        ("encoder = 'gpu'", '"gpu" is called "nvenc" here'),
        ("audio = 'original'", '"original" is called "copy" here'),
        ("audio = 'off'", '"off" is called "none" here'),
        ("audio = true", 'true is called "copy" here'),
        ("audio = false", 'false is called "none" here'),
        ("container = 'matroska'", '"matroska" is called "mkv" here'),
        ("color_fix = 'off'", '"off" is called "none" here'),
        ("deinterlace = true", 'true is called "auto" here'),
        ("fit = 'letterbox'", '"letterbox" is called "pad" here'),
        # Numbers and booleans as people write them.
        ("scale = '2'", "write the number without quotes"),
        ("scale = '2x'", "write 2, without quotes"),
        ("scale = 'x4'", "write 4, without quotes"),
        ("scale = '1,5'", "write 1.5, without quotes"),
        ("width = '960px'", "write 960, without quotes"),
        ("width = '1080p'", NAMED_SIZE),
        ("width = '1920x1080'", NAMED_SIZE),
        ("width = '4K'", NAMED_SIZE),
        ("report = 'yes'", "write true, without quotes"),
        ("report = 'False'", "write false, without quotes"),
        ("report = 1", "write true, without quotes"),
        ("report = 'nein'", "write false, without quotes"),
        # What is no TOML.
        ("report = yes", YES),
        ("report = True", YES),
        ("audio = no", YES),
        ("codec = h265", QUOTES),
        ("scale = 1,5", POINT),
        ("scale = 2x", ALONE),
        ("width = 1080p", ALONE),
        ("quality = 50%", ALONE),
        ("width: 960", EQUALS),
        ("width 960", EQUALS),
        ("fit = “pad”", 'text stands between straight quotes, as in key = "text"'),
        ("width =\u00a0960", "it holds a no-break space; type a plain one"),
        # Nothing of the kind is known: what is allowed stands before, or the names that there are.
        ("codec = 'vp9'", ""),
        ("codec = 'h263'", ""),
        ("codec = 'h266'", ""),
        ("codec = 'prores'", ""),
        ("codec = ''", ""),
        ("encoder = 'qsv'", ""),
        ("encoder = 'vaapi'", ""),
        ("audio = 'mp3'", ""),
        ("audio = 'opus'", ""),
        ("container = 'mov'", ""),
        ("container = 'webm'", ""),
        ("container = 'mp3'", ""),
        ("fit = 'stretch'", ""),
        ("scale = '9x'", ""),
        ("quality = '50%'", ""),
        ("quality = 'high'", ""),
        ("width = 'auto'", ""),
        ("report = 'maybe'", ""),
        ("report = 2", ""),
        ("seed = 'random'", ""),
        ("decoder = 'nvenc'", KNOWN),
        ("banana = 1", KNOWN),
        ("tile = 1", KNOWN),
        ("e = 1", KNOWN),
        ("'' = 1", KNOWN),
    ],
)
def test_each_hint_of_a_preset(text: str, expected: str) -> None:
    assert hint(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[watch]\nmax_attempts = 5", "belongs below the line [queue]"),
        ("[gpu]\ndevice = 0", 'did you mean "devices"?'),
        ("[gpu]\ngpus = [0]", "it is called devices here, below the line [gpu]"),
        ("[gpu]\nworkers = 2", "it is called max_concurrent here, below the line [gpu]"),
        ("[queue]\nretries = 2", "it is called max_attempts here, below the line [queue]"),
        ("[queue]\nquality = 2", "belongs below the line [export]"),
        ("[queue]\ncodec = 'h264'", "belongs in the preset.toml of an inbox"),
        ("[watch]\nsuccess = 'keep'", 'did you mean "on_success"?'),
        ("[watch]\nevery = 3", "known here: observer, poll_seconds, settle_seconds, on_success"),
        ("[outputs]\na = 1", "known here: " + ", ".join([*TABLES, "inbox"])),
        ("[gpu]\ndevices = 0", "write [0]"),
        ("[gpu]\ndevices = 'cuda:1'", "write [1]"),
        ("[gpu]\ndevices = 'gpu'", '"gpu" is called "cuda" here'),
        ("[gpu]\ndevices = 'all'", '"all" is called "auto" here'),
        ("[gpu]\ndevices = 'tpu'", ""),
        ("[model]\nweights = 'v1.1'", 'did you mean "FlashVSR-v1.1"?'),
        ("[model]\nweights = 'flashvsr-v1.1'", 'did you mean "FlashVSR-v1.1"?'),
        ("[model]\nweights = 'none'", 'for a folder beside the settings write "./none"'),
        ("[watch]\nobserver = 'polling'", '"polling" is called "poll" here'),
        ("[watch]\non_success = 'remove'", '"remove" is called "delete" here'),
        ("[watch]\npoll_seconds = '10'", "write the number without quotes"),
        ("[watch]\npoll_seconds = '0,5'", "write 0.5, without quotes"),
        ("[watch]\npoll_seconds = '5 min'", ""),
        ("[service]\nlog_level = 'warn'", '"warn" is called "warning" here'),
        ("[preprocess]\nhwaccel = 'none'", 'for none of them write ""'),
        ("[preprocess]\nvideo_codec = 'x264'", '"x264" is called "libx264" here'),
        ("[preprocess]\npreset = 'very fast'", 'did you mean "veryfast"?'),
        ("[preprocess]\nnvenc_preset = 'p8'", ""),
        ("[limits]\nfile_bytes = '1.5GB'", 'write "1536MB"'),
        ("[limits]\nfile_bytes = '1,5 TB'", 'write "1536GB"'),
        ("[limits]\nfile_bytes = 'much'", ""),
    ],
)
def test_each_hint_of_the_settings_file(tmp_path: Path, text: str, expected: str) -> None:
    (problem,) = problems(tmp_path, text)
    assert problem.partition("; ")[2] == expected


def test_a_key_above_all_tables_is_sent_to_its_own(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, "gpus = [0]")
    assert problem == "flashvsr.toml:1: gpus: it is called devices here, below the line [gpu]"


@pytest.mark.parametrize(
    ("variable", "expected"),
    [
        ("FLASHVSR_DEVICES", 'did you mean "FLASHVSR_DEVICE"?'),
        ("FLASHVSR_CONFG", 'did you mean "FLASHVSR_CONFIG"?'),
        ("FLASHVSR_CHUNK_SIZE", 'did you mean "FLASHVSR_CHUNKED_SAVE_CHUNK_SIZE"?'),
        ("FLASHVSR_QUALITY", 'did you mean "FLASHVSR_EXPORT_VIDEO_QUALITY"?'),
        ("FLASHVSR_OUTPUT", "remove it"),
        ("FLASHVSR_", "remove it"),
    ],
)
def test_each_hint_of_the_environment(tmp_path: Path, variable: str, expected: str) -> None:
    (problem,) = problems(tmp_path, "", **{variable: "1"})
    assert problem.rpartition("; ")[2] == expected


@pytest.mark.parametrize(
    ("word", "known"),
    [
        ("resolution", "report"),
        ("vp9", "mp4"),
        ("mov", "mkv"),
        ("h263", "h264"),
        ("gpu", "cpu"),
        ("decoder", "encoder"),
        ("none", "nano"),
        ("v2", "v1.1"),
        ("fast", "faster"),
        ("ab", "a_b_c"),
        ("x" * 100_000, "width"),
        ("", "fit"),
    ],
)
def test_nothing_far_away_is_suggested(word: str, known: str) -> None:
    assert nearest(word, [known]) is None


def test_a_part_that_several_names_have_is_no_name() -> None:
    assert nearest("range", ["local_range", "sparse_ratio"]) == "local_range"
    assert nearest("range", ["local_range", "far_range"]) is None


def test_the_tables_of_other_names_fit_what_there_is() -> None:
    choices: dict[str, set[str]] = {}
    for table in (Preset, *TABLES.values()):
        for item in options(table):
            words = set(item.kind.words) if isinstance(item.kind, OneOf) else set(getattr(item.kind, "names", ()))
            choices.setdefault(item.key, set()).update(words, getattr(item.kind, "words", ()))
    for key, names in VALUES.items():
        assert set(names.values()) <= choices[key], key
        assert all(folded(word) == word and word not in map(folded, choices[key]) for word in names), key
    assert set(PRESET_KEYS.values()) <= set(keys(Preset))
    assert not {*PRESET_KEYS, *PRESET_ADVICE} & set(keys(Preset))
    assert not set(PRESET_KEYS) & set(PRESET_ADVICE)
    assert all(folded(word) == word for word in (*PRESET_KEYS, *PRESET_ADVICE, *CONFIG_KEYS))
    assert all(key in keys(TABLES[table]) for table, key in CONFIG_KEYS.values())
    assert for_preset_key("CRF") == 'it is called "quality" here'
