"""The account that the service runs as: root leaves nothing in its directories that it could not use.

Whoever types a command as root means the service, not root. What root makes in the service's directories belongs to
root, and the service can then neither write nor remove it.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Sequence
from pathlib import Path

from flashvsr.errors import BadConfig
from flashvsr.system.text import printable


def become_owner(directory: Path) -> None:
    """As root, become the account that `directory` belongs to, for good. Nothing for others, or where that is root.

    Where it does not exist yet, the one above it tells. Standard streams stay open as they are.
    """
    account = _other_owner(directory)
    if account is None:
        return
    user, group = account
    os.setgroups(_groups(user, group))
    os.setgid(group)
    os.setuid(user)
    os.environ["HOME"] = _home(user)


def refuse_as_root(directory: Path, arguments: Sequence[str]) -> None:
    """Raise BadConfig for root where `directory` is another account's: with the line that does it as that one.

    `arguments`: what follows the command's name in that line.
    """
    account = _other_owner(directory)
    if account is not None:
        line = f"runuser -u {account_name(account[0])} -- flashvsr {' '.join(arguments)}"
        raise BadConfig(
            f"{printable(directory)} belongs to {account_name(account[0])}, and what root makes there it could not "
            f"use. Run this instead: {line}"
        )


def account_name(user: int) -> str:
    """The name of an account, its number where it has none."""
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"#{user}"  # as runuser's sister sudo takes it


def account_of(directory: Path) -> str:
    """The name of the account that a directory belongs to; empty where that cannot be told."""
    try:
        return account_name(directory.stat().st_uid)
    except OSError:
        return ""


def _other_owner(directory: Path) -> tuple[int, int] | None:
    """User and group that a directory belongs to, if this process is root and that user is not."""
    if os.geteuid() != 0:
        return None
    # Where root cannot look (a share that is away), nothing is known, and the command itself says what is wrong.
    for place in (directory, directory.parent):
        try:
            status = place.stat()
        except OSError:
            continue
        return (status.st_uid, status.st_gid) if status.st_uid != 0 else None
    return None


def _groups(user: int, group: int) -> list[int]:
    try:
        return os.getgrouplist(pwd.getpwuid(user).pw_name, group)
    except KeyError:
        return [group]


def _home(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_dir
    except KeyError:
        return "/"
