"""Which checkpoints are whole, and the newest of them."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable
from pathlib import Path

from mmengine.runner.checkpoint import CheckpointLoader

# never resumed from: CheckpointHook saves and publishes them without the optimiser
_NOT_FOR_RESUME = re.compile(r'best_.*|.*-[0-9a-f]{8}\.pth')


def why_not_resumable(path: str | Path, optimizer: bool = True) -> str | None:
    """What keeps a training from going on from a local checkpoint file.

    Checks the checksums of all parts (which ``torch.load`` does not), loads the file as mmengine
    would, and looks for what a training needs.

    Args:
        path: the file.
        optimizer: whether the state of the optimiser must be in it.

    Returns:
        The reason, as the end of a sentence about the file, or None if there is none.
    """
    try:
        if Path(path).stat().st_size == 0:
            return 'is empty'
        with zipfile.ZipFile(path) as parts:
            damaged = parts.testzip()
        if damaged is not None:
            return f'is damaged: the checksum of its part {damaged} is wrong'
        checkpoint = CheckpointLoader.load_checkpoint(str(path), 'cpu', logger='silent')
    except zipfile.BadZipFile as error:
        return f'is torn, or no checkpoint ({error})'
    except Exception as error:  # whatever a file makes the loader raise
        first = (str(error).splitlines() or [''])[0]
        return f'cannot be loaded ({type(error).__name__}: {first})'
    needed = ['meta', 'state_dict', 'message_hub', *(['optimizer'] if optimizer else [])]
    missing = ([key for key in needed if key not in checkpoint] if isinstance(checkpoint, dict)
               else needed)
    if missing:
        return f'is no checkpoint of a training (it has no {", ".join(missing)})'
    return None


def newest_resumable(folder: str | Path, optimizer: bool = True,
                     warn: Callable[[str], None] = lambda message: None) -> str | None:
    """The checkpoint in a folder to go on from: the one written last that is whole.

    (By time of writing and not by iteration: the folder may hold a longer, older training.)

    Args:
        folder: a local folder; it need not exist.
        optimizer: as in :func:`why_not_resumable`.
        warn: is given one line for each newer file that is skipped.

    Returns:
        Its path, or None if there is none.
    """
    files = [path for path in Path(folder).glob('*.pth')
             if path.is_file() and not _NOT_FOR_RESUME.fullmatch(path.name)]
    for path in sorted(files, key=_written, reverse=True):
        reason = why_not_resumable(path, optimizer)
        if reason is None:
            return str(path)
        warn(f'{path} {reason}; it is skipped')
    return None


def _written(path: Path) -> tuple[int, list[int]]:
    """For sorting by time of writing; where that is equal, by the numbers in the name."""
    return path.stat().st_mtime_ns, [int(number) for number in re.findall(r'\d+', path.name)]
