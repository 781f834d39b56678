"""Checks the files of a benchmark, split by split."""

from __future__ import annotations

import os
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from mmengine.utils import ProgressBar

from ..datasets.cifar_lt import CIFARLT
from ..datasets.list_benchmark import ListBenchmark
from ..datasets.list_file import list_counts
from ..evaluation.metrics.shot_accuracy import shot_groups
from ..utils import count_classes

_HEADER = ('split', 'images', 'classes', 'largest', 'smallest', 'many', 'medium', 'few', 'checked')
_MANY_IMAGES = 10000  # looking for so many can take more than a few seconds


class Row(NamedTuple):
    """What was found of a split.

    Attributes:
        split: its name.
        counts: images of each class, or None without a list that can be read.
        verdict: in a few words.
        lacks: ``'files'`` (list, or CIFAR's), ``'right files'``, ``'folder'`` (of the images),
            ``'images'`` (some of them); empty where all is in order.
        detail: a line to print below the table.
    """

    split: str
    counts: np.ndarray | None
    verdict: str
    lacks: tuple[str, ...] = ()
    detail: str = ''

    def cells(self) -> tuple[str, ...]:
        if self.counts is None:
            return (self.split, *[''] * 7, self.verdict)
        groups = [''] * 3
        if self.split.startswith('train'):
            groups = [str(len(members))
                      for members in shot_groups(self.counts.tolist(), (20, 100)).values()]
        figures = (self.counts.sum(), len(self.counts), self.counts.max(), self.counts.min())
        return (self.split, *map(str, figures), *groups, self.verdict)


def table(rows: Sequence[Row]) -> str:
    """Aligned text columns: the first and the last to the left, figures to the right."""
    cells = [_HEADER, *(row.cells() for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(_HEADER))]
    last = len(widths) - 1
    return '\n'.join('  '.join(
        cell.ljust(width) if i in (0, last) else cell.rjust(width)
        for i, (cell, width) in enumerate(zip(line, widths))).rstrip() for line in cells)


def check_cifar(cls: type[CIFARLT], root: Path, check_md5: bool) -> list[Row]:
    """Rows of the training sets at the benchmark's imbalance factors, and of the test set."""
    splits: list[tuple[str, dict[str, Any]]] = [
        (f'train, factor {factor}', dict(imbalance_factor=factor)) for factor in (100, 50, 10)]
    rows = []
    for name, options in [*splits, ('test', dict(split='test'))]:
        try:
            dataset = cls(str(root), check_md5=check_md5, **options)
        except FileNotFoundError as error:
            rows.append(Row(name, None, 'files missing', ('files', ), str(error)))
        except ValueError as error:
            rows.append(Row(name, None, 'other files', ('right files', ), str(error)))
        else:
            counts = np.array(count_classes(dataset, len(dataset.CLASSES)).samples)
            rows.append(Row(name, counts, 'MD5' if check_md5 else 'labels only'))
    return rows


def check_lists(cls: type[ListBenchmark], root: Path, check_images: bool) -> list[Row]:
    """Rows of the lists, with how each differs from the published one and what is missing."""
    rows = {cls.LISTS[split]: _list_row(cls, root, split, check_images) for split in cls.URLS}
    return [rows[name]._replace(split=split) for split, name in cls.LISTS.items()]


def _list_row(cls: type[ListBenchmark], root: Path, split: str, check_images: bool) -> Row:
    file = root / cls.LISTS[split]
    if not file.is_file():
        return Row(split, None, f'list missing: {file}', ('files', ))
    try:
        counts = list_counts(file, len(cls.METAINFO['classes']))
        difference = cls.FACTS.difference(counts, split)
        verdict = f'differs: {difference}' if difference else 'as published'
        lacks: tuple[str, ...] = ('right files', ) if difference else ()
        if not check_images:
            return Row(split, counts, f'{verdict}; images not looked for', lacks)
        missing = missing_images([item['img_path'] for item in cls.read(file, root)])
    except FileNotFoundError as error:  # the first image is in none of the known places
        return Row(split, counts, f'{verdict}; images missing', (*lacks, 'folder'), str(error))
    except ValueError as error:
        return Row(split, None, 'list not readable', ('right files', ), str(error))
    if missing:
        many = f'{len(missing)} image' + ('s' if len(missing) > 1 else '')
        verdict += f'; {many} missing, such as {missing[0]}'
        lacks = (*lacks, 'images')
    return Row(split, counts, verdict, lacks)


def missing_images(paths: Sequence[str]) -> list[str]:
    """Paths of files that do not exist; reads each folder once, network disks being slow."""
    by_folder = defaultdict(list)
    for path in paths:
        folder, name = os.path.split(path)
        by_folder[folder].append(name)
    bar = ProgressBar(len(paths), file=sys.stderr) if len(paths) >= _MANY_IMAGES else None
    missing = []
    done = 0
    for folder, names in by_folder.items():
        there = set(os.listdir(folder)) if os.path.isdir(folder) else set()
        missing += [os.path.join(folder, name) for name in names if name not in there]
        done += len(names)
        if bar is not None and done >= len(paths) / 100:  # a hundred lines of a log at most
            bar.update(done)
            done = 0
    if bar is not None:
        if done:
            bar.update(done)
        sys.stderr.write('\n')
    return missing
