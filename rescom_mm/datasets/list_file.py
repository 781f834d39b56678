"""Reads annotation lists of ``relative/path label`` lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

#: another spelling of a folder in a list, from the folder and the label of what lies in it; None
#: where it has none
Spelling = Callable[[str, int], 'str | None']


def list_entries(ann_file: str | Path, num_classes: int) -> Iterator[tuple[int, str, int]]:
    """Line number, path and label of each line of a list file; looks for no image.

    Raises:
        ValueError: for a malformed line, with its number, or a list without any.
    """
    empty = True
    with open(ann_file, encoding='utf-8') as file:
        for number, line in enumerate(file, 1):
            line = line.strip()
            if not line:
                continue
            path, _, label_text = line.rpartition(' ')
            path = path.strip()
            if not path or not label_text.isdecimal():
                raise ValueError(f'{ann_file}:{number}: expected "relative/path label", got '
                                 f'{line!r}')
            label = int(label_text)
            if label >= num_classes:
                raise ValueError(f'{ann_file}:{number}: label {label} lies outside 0 ... '
                                 f'{num_classes - 1}; correct the line')
            empty = False
            yield number, path, label
    if empty:
        raise ValueError(f'{ann_file} lists no image')


def list_counts(ann_file: str | Path, num_classes: int) -> np.ndarray:
    """Number of lines of each label, ``[num_classes]``; raises as :func:`list_entries`."""
    labels = [label for _, _, label in list_entries(ann_file, num_classes)]
    return np.bincount(labels, minlength=num_classes)


def read_list_file(ann_file: str | Path, data_root: str | Path, num_classes: int,
                   spellings: Sequence[Spelling] = (), source: str = '') -> list[dict]:
    """Reads a list file of the long-tailed benchmarks.

    Args:
        ann_file: the list, one ``relative/path label`` a line.
        data_root: what the paths are relative to.
        num_classes: labels must lie in 0 ... num_classes - 1.
        spellings: other ways to write the folders; the first one under which the first image
            exists is taken for all, if it does not exist as the list writes it.
        source: where the list comes from, for the error that it is missing.

    Returns:
        A dict of ``img_path`` and ``gt_label`` for each line.

    Raises:
        FileNotFoundError: if the list, the folder or the first image does not exist.
        ValueError: for a malformed line, with its number.
    """
    if not Path(data_root).is_dir():
        raise FileNotFoundError(f'data_root={str(data_root)!r} does not exist; set data_root of '
                                'the dataset to the folder of the images')
    if not Path(ann_file).is_file():
        raise FileNotFoundError(f'ann_file={str(ann_file)!r} does not exist; set ann_file of the '
                                'dataset to the list of images'
                                + (f' (it comes from {source})' if source else ''))
    prefix = str(data_root).rstrip('/') + '/'
    items: list[dict[str, Any]] = []
    spelling: Spelling | None = None
    respelt: dict[tuple[str, int], str] = {}
    for number, path, label in list_entries(ann_file, num_classes):
        if not items:
            spelling = _spelling_of_folder(path, label, prefix, spellings, f'{ann_file}:{number}')
        if spelling is not None:
            folder, _, name = path.rpartition('/')
            if (folder, label) not in respelt:
                other = spelling(folder, label)
                if other is None:
                    raise ValueError(f'{ann_file}:{number}: {path!r} is written in another '
                                     'way than the first path of the list; write all alike')
                respelt[folder, label] = other
            path = f'{respelt[folder, label]}/{name}'
        items.append(dict(img_path=prefix + path, gt_label=label))
    return items


def _spelling_of_folder(path: str, label: int, prefix: str, spellings: Sequence[Spelling],
                        where: str) -> Spelling | None:
    """The spelling under which an image exists; None for the list's own."""
    if Path(prefix + path).is_file():
        return None
    tried = [path]
    folder, _, name = path.rpartition('/')
    for spelling in spellings:
        new = spelling(folder, label)
        other = f'{new}/{name}'
        if new is None or other in tried:
            continue
        if Path(prefix + other).is_file():
            return spelling
        tried.append(other)
    also = f'; tried, below it: {", ".join(tried)}' if len(tried) > 1 else ''
    raise FileNotFoundError(f'{where}: {prefix}{path} does not exist; is data_root={prefix[:-1]!r} '
                            f'the folder that the paths of the list start from?{also}')
