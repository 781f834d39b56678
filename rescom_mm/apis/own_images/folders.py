"""Images in folders: a folder a class, and splits of such folders."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

from ...datasets.own_images import EXTENSIONS

#: an image's path and the name of its class
Named = list[tuple[str, str]]
#: names of the folders of a split, in small letters
SPLITS = dict(train=('train', 'training'), val=('validation', 'valid', 'val', 'dev'),
              test=('test', 'testing', 'eval', 'evaluation'))


def subfolders(folder: Path) -> list[str]:
    """Names of the folders in a folder, sorted; hidden ones are left out."""
    return sorted(path.name for path in folder.iterdir()
                  if path.is_dir() and not path.name.startswith('.'))


def split_folders(folder: Path) -> dict[str, str]:
    """The folders that hold the splits of a data set: ``train``, ``val``, ``test`` -> name.

    Returns:
        Empty where the folders of ``folder`` are no splits.

    Raises:
        ValueError: if there are splits, but not for training, two of a kind, or other folders
            beside training and test images.
    """
    names = subfolders(folder)
    kinds = {name: kind for kind, known in SPLITS.items() for name in names
             if name.lower() in known}
    others = [name for name in names if name not in kinds]
    found = {kind: name for name, kind in kinds.items()}
    if not kinds or (others and ('train' not in found or len(found) == 1)):
        return {}  # a class may be called train
    if others:
        raise ValueError(f'{folder} holds {", ".join(kinds)}, and beside them {", ".join(others)}: '
                         'move these away if the former are splits; if all are classes, rename '
                         f'{found["train"]}')
    if len(found) < len(kinds):
        raise ValueError(f'{folder} holds two folders of one split ({", ".join(kinds)}); keep one '
                         'for training, one for validation and one for testing')
    if 'train' not in found:
        raise ValueError(f'{folder} holds {", ".join(kinds)}, but no folder train; add the '
                         'training images')
    return found


def class_folders(folder: Path, left_out: Counter[str]) -> Named:
    """Images of a folder a class, by class and path; paths start at ``folder``.

    Args:
        folder: holds the class folders; in them images may lie in folders of their own.
        left_out: counts the endings of the files that are not taken.

    Raises:
        ValueError: if there is no class folder, or one without an image.
    """
    names = subfolders(folder)
    if not names:
        raise ValueError(f'{folder} holds no class folders; give the folder that holds them')
    found: Named = []
    empty = []
    for name in names:
        paths = image_files(folder / name, left_out)
        found += [(f'{name}/{path}', name) for path in paths]
        if not paths:
            empty.append(name)
    if empty:
        more = f' (and {len(empty) - 1} more class folders)' if len(empty) > 1 else ''
        raise ValueError(f'{folder / empty[0]}{more} holds no image ({", ".join(EXTENSIONS)}); '
                         'remove the folder, or add images')
    return found


def image_files(folder: Path, left_out: Counter[str]) -> list[str]:
    """Image files at any depth below a folder, sorted; their paths start at it.

    Files and folders that are hidden are left out. Links are followed, each folder once.
    """
    found = []
    seen = set()
    for base, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(base)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        # sorted: the same path on every machine where two links lead to one folder
        folders[:] = sorted(name for name in folders if not name.startswith('.'))
        prefix = '' if base == str(folder) else f'{Path(base).relative_to(folder).as_posix()}/'
        for name in files:
            ending = os.path.splitext(name)[1].lower()
            if name.startswith('.'):
                continue
            if ending in EXTENSIONS:
                found.append(prefix + name)
            else:
                left_out[ending or 'no ending'] += 1
    return sorted(found)
