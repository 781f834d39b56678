"""Which checkpoints are whole, and the newest of them."""

from __future__ import annotations

import os.path as osp
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

from mmengine.runner.checkpoint import CheckpointLoader

from .safe_load import UnsafeCheckpointError

#: config entry: what a run begins with whose ``--resume`` finds nothing to go on from
START_FROM = 'load_from_at_first'


def why_not_resumable(path: str | Path, optimizer: bool = True) -> str | None:
    """What keeps a training from going on from a local checkpoint file.

    Checks the checksums of all parts (which ``torch.load`` does not), loads the file as mmengine
    would, and looks for what a training needs.

    Args:
        path: the file.
        optimizer: whether the state of the optimiser must be in it.

    Returns:
        The reason, as the end of a sentence about the file, or None if there is none.

    Raises:
        UnsafeCheckpointError: if the file is whole and asks for more than a checkpoint needs.
    """
    return _inspect(path, optimizer)[0]


def _inspect(path: str | Path, optimizer: bool) -> tuple[str | None, int]:
    """The reason, and the number of iterations."""
    try:
        if Path(path).stat().st_size == 0:
            return 'is empty', 0
        with zipfile.ZipFile(path) as parts:
            damaged = parts.testzip()
        if damaged is not None:
            return f'is damaged: the checksum of its part {damaged} is wrong', 0
        checkpoint = CheckpointLoader.load_checkpoint(str(path), 'cpu', logger='silent')
    except zipfile.BadZipFile as error:
        return f'is torn, or no checkpoint ({error})', 0
    except Exception as error:  # whatever a file makes the loader raise
        if isinstance(error, UnsafeCheckpointError) and not error.damaged:
            raise
        first = (str(error).splitlines() or [''])[0]
        return f'cannot be loaded ({type(error).__name__}: {first})', 0
    needed = ['meta', 'state_dict', 'message_hub', *(['optimizer'] if optimizer else [])]
    missing = ([key for key in needed if key not in checkpoint] if isinstance(checkpoint, dict)
               else needed)
    if missing:
        return f'is no checkpoint of a training (it has no {", ".join(missing)})', 0
    return None, checkpoint['meta'].get('iter', 0)


def newest_resumable(folder: str | Path, optimizer: bool = True,
                     warn: Callable[[str], None] = lambda message: None,
                     template: str = 'epoch_{}.pth') -> str | None:
    """The checkpoint in a folder to go on from: the one written last that is whole.

    It is the newest by time of writing and not by iteration, since the folder may hold a longer,
    older training. Where times contradict ``last_checkpoint``, which names a whole file of more
    iterations, they are those of a copy, and that file is it.

    Args:
        folder: a local folder; it need not exist.
        optimizer: as in :func:`why_not_resumable`.
        warn: is given one line for each newer file that is skipped.
        template: ``filename_tmpl`` of the checkpoint hook; what it names, and any other ``*.pth``
            but best and published checkpoints, may be one.

    Returns:
        Its path, or None if there is none.

    Raises:
        UnsafeCheckpointError: as :func:`why_not_resumable`, of a file that would be taken.
    """
    folder = Path(folder)
    regular, weights_alone = _names(template), '|'.join((
        _names(osp.splitext(template)[0]) + r'-[0-9a-f]{8}\.pth', 'best_.*'))  # of CheckpointHook
    files = [path for path in folder.glob('*') if path.is_file() and (
        re.fullmatch(regular, path.name)
        or (path.suffix == '.pth' and not re.fullmatch(weights_alone, path.name)))]
    for path in sorted(files, key=_written, reverse=True):
        reason, iteration = _inspect(path, optimizer)
        if reason is None:
            return str(_named_last(folder, path, iteration, optimizer, warn) or path)
        warn(f'{path} {reason}; it is skipped')
    return None


def _named_last(folder: Path, newest: Path, iteration: int, optimizer: bool,
                warn: Callable[[str], None]) -> Path | None:
    """What ``last_checkpoint`` names, if that is further than the newest file."""
    note = folder / 'last_checkpoint'
    if not note.is_file():
        return None
    named = folder / Path(note.read_text().strip()).name  # the folder may have been moved
    if named == newest or not named.is_file():
        return None
    reason, further = _inspect(named, optimizer)
    if reason is not None or further <= iteration:
        return None
    warn(f'{newest} was written after {named}, which last_checkpoint names and which is {further} '
         f'iterations far instead of {iteration}: are these times of a copy? {named} is taken')
    return named


def _names(template: str) -> str:
    """A regular expression for what a ``filename_tmpl`` names."""
    return r'\d+'.join(re.escape(part) for part in re.split(r'\{[^}]*\}', template))


def _written(path: Path) -> tuple[int, list[int]]:
    """For sorting by time of writing; where that is equal, by the numbers in the name."""
    return path.stat().st_mtime_ns, [int(number) for number in re.findall(r'\d+', path.name)]
