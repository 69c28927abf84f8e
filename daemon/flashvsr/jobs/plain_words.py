"""What a job's end means for the person whose video it is: somebody who knows the folders, and has no other access.

Each kind of end has three lines: what is wrong, what to do, and both in Chinese. A kind is what the queue keeps of it,
see `flashvsr.worker.faults`.
"""
# ruff: noqa: RUF001

from __future__ import annotations

from dataclasses import dataclass

from flashvsr.errors import Fault

OWNER = "the owner of this machine"


@dataclass(frozen=True)
class Words:
    """`wrong`: what is wrong, in one line. `help`: what to do about it. `chinese`: both."""

    wrong: str
    help: str
    chinese: str


_AGAIN = "Copy it into the inbox again."

# What is wrong with a video, or with what was to become of it.
FAULTS: dict[Fault, Words] = {
    Fault.UNREADABLE: Words(
        "This is no video that can be read, or it is damaged.",
        "See if it plays on your computer. If it does not, or not to its end, copy it into the inbox again. If "
        "it does, convert it to MP4 with a video program and copy that file.",
        "这个文件不是可以读取的视频，或者已经损坏。请先在电脑上播放试试："
        "不能播放就重新复制到收件文件夹，能播放就转换成 MP4 再复制。",
    ),
    Fault.EMPTY: Words(
        "The file is empty. The copying was cut short, perhaps.",
        _AGAIN,
        "文件是空的，可能是复制中断了。请重新复制到收件文件夹。",
    ),
    Fault.GONE: Words(
        "The file was deleted, moved or given another name before its turn was over.",
        f"{_AGAIN[:-1]}, and leave it there until its result has come.",
        "文件在处理完之前被删除、移动或改名了。请重新复制到收件文件夹，结果出来之前不要动它。",
    ),
    Fault.CHANGED: Words(
        "The file was replaced by another one while it was worked on.",
        "Copy it into the inbox again, under a new name.",
        "文件在处理过程中被换掉了。请换一个名字重新复制到收件文件夹。",
    ),
    Fault.NO_FILE: Words(
        "This is no ordinary file.",
        "Copy the video itself into the inbox, not a link to it.",
        "这不是普通文件。请把视频本身复制到收件文件夹，不要放链接。",
    ),
    Fault.NO_PICTURE: Words(
        "There is no picture in this file.",
        "Copy a video with a picture into the inbox.",
        "这个文件里没有画面。请复制有画面的视频。",
    ),
    Fault.NO_DECODER: Words(
        "The video is of a kind that this machine cannot read.",
        "Convert it to MP4 with a video program and copy that file into the inbox.",
        "这台机器读不了这种视频。请用视频软件转换成 MP4，再复制到收件文件夹。",
    ),
    Fault.DAMAGED: Words(
        "No picture of this video can be read. The file is damaged, or a part of it is missing.",
        f"{_AGAIN} If that does not help, the original is damaged too.",
        "视频的画面一张也读不出来：文件损坏或不完整。请重新复制到收件文件夹；如果还不行，说明原文件也坏了。",
    ),
    Fault.HARMFUL: Words(
        "Just to open this file takes far too much of the machine. It is damaged, or made to do harm.",
        f"Convert it to MP4 with a video program and copy that file. If you trust the file, ask {OWNER} to raise the "
        "limit below.",
        "光是打开这个文件就耗费太多资源：文件损坏，或者是恶意制作的。请转换成 MP4 再复制；"
        "如果确信文件没问题，请机器的主人放宽下面的限制。",
    ),
    Fault.TOO_MANY_BYTES: Words(
        "The file is larger than this machine takes.",
        f"Cut the video into parts and copy those. Or ask {OWNER} to raise the limit below.",
        "文件太大，超过了这台机器的限制。请把视频切成几段再复制，或请机器的主人放宽下面的限制。",
    ),
    Fault.TOO_LONG: Words(
        "The video is longer than this machine takes.",
        f"Cut it into parts and copy those. Or ask {OWNER} to raise the limit below.",
        "视频太长，超过了这台机器的限制。请切成几段再复制，或请机器的主人放宽下面的限制。",
    ),
    Fault.TOO_WIDE: Words(
        "The pictures of this video are larger than this machine takes.",
        f"Make the video smaller with a video program. Or ask {OWNER} to raise the limit below.",
        "视频的画面太大，超过了这台机器的限制。请先用视频软件缩小，或请机器的主人放宽下面的限制。",
    ),
    Fault.TOO_SMALL: Words(
        "The picture is too small for what this folder's preset.toml asks for.",
        'Set fit = "pad" in preset.toml in the inbox, or a larger width or scale. Then copy the video again.',
        '画面太小，不符合收件文件夹里 preset.toml 的要求。请在 preset.toml 里设 fit = "pad"，'
        "或把 width 或 scale 调大，然后重新复制视频。",
    ),
    Fault.RESULT_TOO_LARGE: Words(
        "The result would be larger than a video can be.",
        "Set a smaller width or scale in preset.toml in the inbox. Then copy the video again.",
        "结果的画面会超过视频允许的大小。请把收件文件夹里 preset.toml 的 width 或 scale 调小，然后重新复制视频。",
    ),
    Fault.NO_MEMORY: Words(
        "The result would be too large for the memory of this machine.",
        'Set limit = "auto" in preset.toml in the inbox, or a smaller limit. Then copy the video again.',
        "结果太大，这台机器的内存或显存不够。请把收件文件夹里 preset.toml 的 "
        'limit 设为 "auto" 或更小，然后重新复制视频。',
    ),
}

_ASK = f"Ask {OWNER} to look at the lines below."

# Ends that are no fault of the video's, as far as is known.
KINDS: dict[str, Words] = {
    "crash": Words(
        "The program crashed each time it worked on this video. The file may be damaged.",
        f"{_AGAIN} If that does not help, convert it to MP4 with a video program first. Or ask {OWNER}.",
        "每次处理这个视频程序都会崩溃，文件可能损坏。请重新复制到收件文件夹；还不行就先转换成 MP4，或联系机器的主人。",
    ),
    "internal": Words(
        "Something went wrong that nobody foresaw. It is not your fault.",
        _ASK,
        "出现了没有预料到的错误，不是您的问题。请让机器的主人看看下面的内容。",
    ),
    "transient": Words(
        "The machine was disturbed each time it worked on this video: by a disk, a share or the graphics card.",
        f"{_ASK} The video can then be tried again.",
        "每次处理这个视频时机器都受到干扰：磁盘、网络共享或显卡有问题。请让机器的主人看看下面的内容，然后可以再试。",
    ),
    "space": Words(
        "There was no room on a disk each time the machine worked on this video.",
        f"{_ASK} The video can then be tried again.",
        "每次处理这个视频时磁盘空间都不够。请让机器的主人看看下面的内容，然后可以再试。",
    ),
    "config": Words(
        "The settings of this machine or the preset.toml of the inbox are wrong.",
        _ASK,
        "这台机器的设置或收件文件夹里的 preset.toml 有错误。请让机器的主人看看下面的内容。",
    ),
}

NO_RESULT = 'No result was made of "{name}". / 没有生成“{name}”的结果。'
KEPT = 'What was finished until then: "{name}" / 已完成的部分：“{name}”'
FOR_THE_OWNER = "---------- for the owner of this machine / 以下给机器的主人 ----------"


def words_for(kind: str | None) -> Words:
    """The words for an end of this kind; what nobody has words for was not foreseen."""
    name, _, fault = (kind or "internal").partition(".")
    if name == "bad_input":
        return FAULTS[Fault.of(fault)]
    return KINDS.get(name, KINDS["internal"])


def error_text(name: str, kind: str | None, message: str, retry: str, partial: str | None) -> str:
    """The text for the share about the video `name`: plain words first, the technical `message` below a line.

    `retry`: the command that tries it again. `partial`: name of the video of what was finished, if there is one. All
    of them are visible text.
    """
    words = words_for(kind)
    kept = [KEPT.format(name=partial), ""] if partial else []
    lines = [
        NO_RESULT.format(name=name), "",
        words.wrong, words.help, words.chinese, "",
        *kept,
        FOR_THE_OWNER, message, f"To try again: {retry}",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"
