"""Which weights a job uses, whether they are there, and whether they are sound; `download` gets them."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path

from flashvsr.errors import BadConfig, Transient
from flashvsr.model.weight_files import PROMPT_FILE, REQUIRED_FILES, VAE_FILE
from flashvsr.settings.processing_tables import Model
from flashvsr.system.account import refuse_as_root
from flashvsr.system.text import printable
from flashvsr.weights.download import OnProgress, download

AUTO = "auto"
OFFICIAL = "FlashVSR-v1.1"
NANO = "nano"


@dataclass(frozen=True)
class Choice:
    """The weights to use.

    Attributes:
        name: what results call the model.
        folder: where its files are, or will be.
        prompt_file: the prompt's embedding, when it does not lie in the folder.
        fetchable: whether `fetch` can bring what is missing.
    """

    name: str
    folder: Path
    prompt_file: Path | None
    fetchable: bool


def nano_folder() -> Path:
    """The small model that is part of the package."""
    return Path(__file__).parents[1] / "assets" / NANO


def choose(model: Model, models: Path, has_gpu: bool) -> Choice:
    """Resolve the setting `model.weights`: "auto", "FlashVSR-v1.1", "nano" or a folder.

    Args:
        model: the settings.
        models: directory of downloaded models.
        has_gpu: decides "auto": the official model where there is a GPU, the nano model where there is none.

    Raises:
        BadConfig, Transient: a folder cannot be looked into.
    """
    name = model.weights
    if name == AUTO:
        name = OFFICIAL if has_gpu else NANO
    if name == NANO:
        # It has a prompt of its own: a configured one is made for the official model and could not fit.
        return Choice(NANO, nano_folder(), None, fetchable=False)
    if name == OFFICIAL:
        return Choice(OFFICIAL, official_folder(models, model.prompt), model.prompt, fetchable=True)
    folder = official_folder(Path(name), model.prompt, new=Path(name))
    return Choice(printable(folder.absolute().name or folder), folder, model.prompt, fetchable=False)


def official_folder(models: Path, prompt_file: Path | None = None, new: Path | None = None) -> Path:
    """Where the official files are: a folder of their own below `models`, or `models` itself.

    People who come from the earlier app have them in the models directory itself. Where neither place is
    complete, the answer is `new`, by default the folder of their own.
    """
    own = models / OFFICIAL
    return next((place for place in (own, models) if is_complete(place, prompt_file)), new or own)


def is_complete(folder: Path, prompt_file: Path | None = None) -> bool:
    """Whether all required files are there and not empty; no more than that, see `verify`.

    Raises:
        BadConfig, Transient: the folder cannot be looked into.
    """
    places = [folder / name for name in REQUIRED_FILES if prompt_file is None or name != PROMPT_FILE]
    return all(_is_filled(place) for place in (*places, *([prompt_file] if prompt_file else [])))


def fetch(models: Path, on_progress: OnProgress, *, vae: bool = False, recheck: bool = False) -> Path:
    """Get the official weights from ModelScope and return their folder.

    Touches the network only if a file is missing or empty, or to `recheck`. What was downloaded in part goes
    on where it stopped. Of several processes one downloads and the others wait for it.

    Args:
        models: directory of downloaded models.
        on_progress: hears twice a second how it goes; what it raises ends the download and comes out here.
        vae: also the full VAE, which is not used.
        recheck: compare the checksums of files that are there already, and get those anew that differ.

    Raises:
        Transient: no connection, an error of the server, no space. The message says what to do.
        BadConfig: the models directory cannot be written, or is the service's and this is root.
    """
    folder = official_folder(models)
    names = (*REQUIRED_FILES, VAE_FILE) if vae else REQUIRED_FILES

    def missing() -> list[str]:
        return [name for name in names if recheck or not _is_filled(folder / name)]

    if missing():
        refuse_as_root(models, ("weights", "fetch"))
        download(folder, models, missing, on_progress)
    return folder


def verify(choice: Choice) -> list[str]:
    """Check every key and shape of the chosen weights, without holding them in memory. Returns remarks.

    Raises:
        BadConfig: a file is missing, damaged, foreign or does not fit the others.
    """
    from flashvsr.model.loading import check_files

    return list(check_files(choice.folder, choice.prompt_file))


def _is_filled(file: Path) -> bool:
    try:
        status = file.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except PermissionError as error:
        raise BadConfig(f"{file}: {error.strerror}; let the user of the service read the weights") from error
    except OSError as error:
        raise Transient(f"{file}: {error.strerror}; check that the disk or share is there") from error
    return stat.S_ISREG(status.st_mode) and status.st_size > 0
