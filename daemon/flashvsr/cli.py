"""The `flashvsr` command: arguments in, exit code out. The work is in `flashvsr.commands`.

Exit codes: 0 done; 1 failed; 2 wrong usage; 78 wrong settings (EX_CONFIG); 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import argparse
import logging
import os
import re
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import NoReturn

from flashvsr.commands.say import complain, prepare
from flashvsr.errors import BadConfig, Cancelled, FlashVSRError
from flashvsr.settings.config import Config, load_config
from flashvsr.system import logs
from flashvsr.system.account import become_owner
from flashvsr.system.text import visible
from flashvsr.system.version import VERSION

EX_FAILURE, EX_CONFIG, EX_INTERRUPTED = 1, 78, 130
LEAST_SPEED_FRAMES = 45  # `flashvsr.bench.speed` says why; it is too heavy to be asked here

Command = Callable[[Config, argparse.Namespace], int]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    prepare()
    parser = _parser()
    options = parser.parse_args(arguments)
    if not hasattr(options, "module"):
        parser.print_help(sys.stderr)
        return 2
    try:
        config, command = load_config(options.config), _command(options)
        if options.as_service:
            become_owner(config.paths.state)
        return command(config, options)
    except BadConfig as error:
        return _complain(error, EX_CONFIG)
    except Cancelled as error:
        return _complain(error, EX_INTERRUPTED)
    except FlashVSRError as error:
        return _complain(error, EX_FAILURE)
    except KeyboardInterrupt:
        return EX_INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output left; nothing is wrong
        return EX_FAILURE


def _command(options: argparse.Namespace) -> Command:
    run: Command = getattr(import_module(f"flashvsr.commands.{options.module}"), options.function)
    return run


def _complain(error: Exception, code: int) -> int:
    if logs.under_journald(sys.stderr, os.environ):  # a service that cannot start: an error in the journal as well
        logs.setup()
        logs.each_line(logging.getLogger(logs.ROOT), logging.ERROR, str(error))
    else:
        complain(str(error))
    return code


class _Parser(argparse.ArgumentParser):
    """Quotes arguments as visible text: they may be names of files."""

    def error(self, message: str) -> NoReturn:
        """Tell what is wrong with the arguments, and end."""
        super().error(visible(message))


def _parser() -> _Parser:
    parser = _Parser(
        prog="flashvsr",
        description="Watches folders and super-resolves the videos dropped into them, with FlashVSR v1.1.",
        epilog="Exit codes: 0 done, 1 failed, 2 wrong usage, 78 wrong settings, 130 stopped by Ctrl-C.",
    )
    parser.add_argument("--version", action="version", version=f"flashvsr {VERSION}")
    _add_config(parser, default=None)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")

    _add(commands, "run", "run", "run the service, in the foreground or under systemd")

    demo = _add(commands, "demo", "demo", "run the service on a short clip in a temporary directory")
    demo.add_argument(
        "--output", type=_path, default=Path("flashvsr-demo"), metavar="DIR",
        help="where the result and the picture go (default: %(default)s)",
    )  # fmt: skip

    upscale = _add(commands, "upscale", "upscale", "super-resolve one file, without the service")
    upscale.add_argument("source", type=_path, metavar="IN", help="video file")
    upscale.add_argument("target", type=_path, metavar="OUT", help="result (.mp4 or .mkv), or a directory for it")
    upscale.add_argument("--preset", type=_path, metavar="FILE", help="preset.toml to use instead of the defaults")
    upscale.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", dest="assignments",
        help="change one option of the preset; may be repeated",
    )  # fmt: skip

    plan = _add(commands, "plan", "plan", "say what would be made of videos, and how long it takes; changes nothing")
    plan.add_argument("files", type=Path, nargs="+", metavar="FILE", help="video file, in an inbox or anywhere")
    plan.add_argument("--preset", type=Path, metavar="FILE", help="preset.toml to use instead of the inbox's")
    plan.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", dest="assignments",
        help="change one option of the preset; may be repeated",
    )  # fmt: skip
    plan.add_argument("--json", action="store_true", help="print JSON")

    status = _add(commands, "status", "status", "show the jobs and how the service does")
    status.add_argument("job", type=int, nargs="?", metavar="ID", help="show everything about one job")
    status.add_argument("--json", action="store_true", help="print JSON")
    status.add_argument(
        "--watch", action="store_true",
        help="show it anew every two seconds until Ctrl-C; with --json, one line of JSON each time",
    )  # fmt: skip
    status.add_argument("--all", action="store_true", help="list all finished jobs, not only the last ones")

    check = _add(commands, "check", "check", "check settings, presets, weights, GPU, encoders, space and the queue")

    retry = _add(commands, "retry", "requests", "put failed, cancelled, skipped or held jobs back", "retry")
    which = retry.add_mutually_exclusive_group(required=True)
    which.add_argument("jobs", type=int, nargs="*", metavar="ID", default=[])
    which.add_argument("--all", action="store_true", help="all jobs that have failed")
    retry.add_argument(
        "--force", action="store_true", help="do it although its preset skips it, as large already as it may become"
    )
    cancel = _add(
        commands,
        "cancel",
        "requests",
        "cancel jobs; what is finished of them is kept as partial videos",
        "cancel",
    )
    first = _add(commands, "first", "requests", "put jobs before all others that wait, the one named first", "first")
    redo = _add(commands, "redo", "requests", "make jobs that are done again, with the preset as it is now", "redo")
    for command in (cancel, first, redo):
        command.add_argument("jobs", type=int, nargs="+", metavar="ID")

    pause = _add(commands, "pause", "pause", "do no jobs and free the GPU, for a while or until resume", "pause")
    pause.add_argument(
        "words", nargs="*", metavar="WHEN", help="2h, 30m, 1h30m, or until 07:00; without it until `flashvsr resume`"
    )
    resume = _add(commands, "resume", "pause", "end a pause", "resume")

    weights = commands.add_parser("weights", help="fetch or verify the model's weights")
    weights.set_defaults(module="weights", function="usage")
    actions = weights.add_subparsers(title="actions", metavar="ACTION", required=True)
    fetch = _add(actions, "fetch", "weights", "fetch the official weights from ModelScope", "fetch")
    fetch.add_argument("--all", action="store_true", help="also the VAE, which is not used")
    verify = _add(actions, "verify", "weights", "check the configured weights, every key and shape", "verify")
    notify = commands.add_parser("notify", help="try the messages to people")
    notify.set_defaults(module="notify", function="usage")
    deeds = notify.add_subparsers(title="actions", metavar="ACTION", required=True)
    test = _add(
        deeds, "test", "notify", "send one message to each address of notify.urls, and say what came of it", "test"
    )

    for command in (status, check, retry, cancel, first, redo, pause, resume, fetch, verify, test):
        command.set_defaults(as_service=True)  # they look at what is the service's, or change it

    completion = _add(commands, "completion", "completion", "print what completes the words of this command in a shell")
    completion.add_argument("shell", choices=("bash", "zsh", "fish"), help="the shell that reads it")

    bench = commands.add_parser("bench", help="measure what the model does")
    bench.set_defaults(module="bench", function="usage")
    measurements = bench.add_subparsers(title="measurements", metavar="MEASUREMENT", required=True)
    _add_quality(measurements)
    _add_speed(measurements)
    return parser


def _add_quality(measurements: argparse._SubParsersAction[_Parser]) -> None:
    quality = _add(
        measurements,
        "quality",
        "bench",
        "make videos smaller, enlarge them again by the model and by filters, and compare them with the source",
        "quality",
    )
    quality.add_argument("videos", type=_path, nargs="+", metavar="IN", help="video file")
    quality.add_argument(
        "--weights",
        type=_filled,
        metavar="FOLDER",
        help="weights to measure, a folder or nano (default: as model.weights says)",
    )
    quality.add_argument("--scale", type=int, choices=(2, 4), default=2, help="factor (default: %(default)s)")
    quality.add_argument(
        "--filter", choices=("area", "bicubic", "both"), default="both",
        help="how videos are made smaller: by averages, the bicubic filter, or either in turn (default: %(default)s)",
    )  # fmt: skip
    quality.add_argument("--frames", type=_at_least(2), metavar="N", help="measure N frames at most")
    quality.add_argument("--start", type=_at_least(0), default=0, metavar="N", help="from frame N on, counted from 0")
    quality.add_argument("--size", type=_size, metavar="WxH", help="measure only so much of the middle of the picture")
    quality.add_argument(
        "--against", action="append", default=[], metavar="UPSCALER",
        help="compare with pyanime4k too, or with one of its models (pyanime4k:MODEL); may be repeated",
    )  # fmt: skip
    quality.add_argument("--float32", action="store_true", help="compute in float32 on GPUs as well")
    quality.add_argument(
        "--out", type=_path, default=Path("flashvsr-bench"), metavar="FOLDER",
        help="where the pictures go, one for each video and filter (default: %(default)s)",
    )  # fmt: skip
    quality.add_argument(
        "--json", type=_path, metavar="FILE", help="where the numbers go (default: quality.json there)"
    )


def _add_speed(measurements: argparse._SubParsersAction[_Parser]) -> None:
    speed = _add(
        measurements,
        "speed",
        "bench_speed",
        "measure how fast the model and the whole way of a video are, and where the time goes",
    )
    speed.add_argument(
        "--size", type=_model_size, metavar="WxH",
        help="the model's picture, in multiples of 128 (default: 1408x768, without a GPU 640x384)",
    )  # fmt: skip
    speed.add_argument(
        "--frames", type=_at_least(LEAST_SPEED_FRAMES), metavar="N",
        help=f"frames to measure, at least {LEAST_SPEED_FRAMES} (default: 181, without a GPU 61)",
    )  # fmt: skip
    speed.add_argument(
        "--weights", type=_filled, metavar="WEIGHTS",
        help="random (the published 1.3B shapes), nano, or a folder (default: random, without a GPU nano)",
    )  # fmt: skip
    speed.add_argument(
        "--output", type=_path, default=Path("flashvsr-bench") / "speed.json", metavar="FILE.json",
        help="where the numbers go (default: %(default)s)",
    )  # fmt: skip
    speed.add_argument(
        "--end-to-end", action=argparse.BooleanOptionalAction, default=True,
        help="also time the worker on a whole file: 720p made 1920x1024, without a GPU one of half the size (default)",
    )  # fmt: skip
    speed.add_argument(
        "--compare-exact", action="store_true",
        help="compare latents and frames with the plain path in float32, window by window",
    )  # fmt: skip


def _filled(text: str) -> str:
    if not text:  # of a variable that is not set, perhaps; as a path it would be the current directory
        raise argparse.ArgumentTypeError("it is empty; give a path")
    return text


def _path(text: str) -> Path:
    return Path(_filled(text))


def _at_least(least: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not text.isascii() or not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number from {least} on")
        return int(text)

    return number


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"([0-9]{1,5})x([0-9]{1,5})", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size such as 640x384")
    return int(match[1]), int(match[2])


def _model_size(text: str) -> tuple[int, int]:
    width, height = _size(text)
    nearest = [_multiples(side) for side in (width, height)]
    if width not in nearest[0] or height not in nearest[1]:
        sizes = " or ".join(f"{w}x{h}" for w in nearest[0] for h in nearest[1])
        raise argparse.ArgumentTypeError(f"{text}: the model needs multiples of 128 pixels, such as {sizes}")
    return width, height


def _multiples(side: int) -> list[int]:
    """The multiples of 128 around a side: the one below and the one above, or itself."""
    return sorted({max(128, side // 128 * 128), -(-max(128, side) // 128) * 128})


def _add(
    commands: argparse._SubParsersAction[_Parser],
    name: str,
    module: str,
    summary: str,
    function: str = "run",
) -> _Parser:
    command = commands.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
    # A default here would overwrite what was given before the command's name.
    _add_config(command, default=argparse.SUPPRESS)
    command.set_defaults(module=module, function=function, as_service=False)
    return command


def _add_config(parser: argparse.ArgumentParser, default: object) -> None:
    parser.add_argument(
        "--config", type=_path, metavar="FILE", default=default,
        help="settings file (default: $FLASHVSR_CONFIG, else /etc/flashvsr/flashvsr.toml if it exists)",
    )  # fmt: skip
