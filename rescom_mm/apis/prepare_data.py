"""Checks that a benchmark's files are there and are the published ones: ``tools/data/prepare.py``.
"""

from __future__ import annotations

import argparse
import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..datasets import CIFAR10LT, CIFAR100LT, ImageNetLT, INaturalist18, PlacesLT
from ..datasets.cifar_lt import CIFARLT
from ..datasets.list_benchmark import ListBenchmark
from ..evaluation.metrics.shot_accuracy import shot_groups
from ..utils import count_classes

CIFAR: dict[str, type[CIFARLT]] = dict(cifar10=CIFAR10LT, cifar100=CIFAR100LT)
LISTS: dict[str, type[ListBenchmark]] = {'imagenet-lt': ImageNetLT, 'places-lt': PlacesLT,
                                         'inat18': INaturalist18}
_HEADER = ('split', 'images', 'classes', 'largest', 'smallest', 'many', 'medium', 'few', 'checked')


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Options of ``tools/data/prepare.py``."""
    parser = argparse.ArgumentParser(description='Check the files of a benchmark and print its '
                                     'shot groups (many > 100, medium 20 to 100, few < 20).')
    parser.add_argument('benchmark', choices=[*CIFAR, *LISTS])
    parser.add_argument('--data-root', required=True, help='data_root of the data set')
    parser.add_argument('--download', action='store_true',
                        help='fetch CIFAR where its files are missing')
    parser.add_argument('--no-check-md5', action='store_true',
                        help='accept other copies of CIFAR than the official files')
    parser.add_argument('--no-check-images', action='store_true',
                        help='do not look whether every image of the lists exists')
    args = parser.parse_args(argv)
    if args.benchmark in LISTS and (args.download or args.no_check_md5):
        parser.error(f'--download and --no-check-md5 are for {" and ".join(CIFAR)}; '
                     f'{args.benchmark} comes from {LISTS[args.benchmark].SOURCE}')
    return args


def check_cifar(args: argparse.Namespace) -> list[tuple[str, ...]]:
    """Rows of the test set and of the training sets at the benchmark's imbalance factors."""
    cls = CIFAR[args.benchmark]
    if args.download:
        _download_cifar(cls, Path(args.data_root).expanduser())
    verdict = 'labels only' if args.no_check_md5 else 'MD5'
    rows = []
    for factor in (100, 50, 10):
        dataset = cls(args.data_root, imbalance_factor=factor, check_md5=not args.no_check_md5)
        rows.append(_row(f'train, factor {factor}', _counts(dataset), verdict))
    test = cls(args.data_root, split='test', check_md5=not args.no_check_md5)
    return [*rows, _row('test', _counts(test), verdict)]


def check_lists(args: argparse.Namespace) -> list[tuple[str, ...]]:
    """Rows of the lists, with how each differs from the published one and what is missing."""
    cls = LISTS[args.benchmark]
    rows = []
    for split, file in cls.LISTS.items():
        if split == 'test' and file == cls.LISTS['val']:
            continue
        dataset = cls(args.data_root, split=split)
        counts = _counts(dataset)
        difference = cls.FACTS.difference(counts, split)
        verdict = f'differs: {difference}' if difference else 'as published'
        if not args.no_check_images:
            missing = missing_images([dataset.get_data_info(i)['img_path']
                                      for i in range(len(dataset))])
            if missing:
                verdict += f'; {len(missing)} images missing, such as {missing[0]}'
        rows.append(_row(split if file != cls.LISTS['test'] or split == 'test' else 'val = test',
                         counts, verdict))
    return rows


def missing_images(paths: Sequence[str]) -> list[str]:
    """Paths of files that do not exist; reads each folder once, network disks being slow."""
    by_folder = defaultdict(list)
    for path in paths:
        folder, name = os.path.split(path)
        by_folder[folder].append(name)
    missing = []
    for folder, names in by_folder.items():
        there = set(os.listdir(folder)) if os.path.isdir(folder) else set()
        missing += [os.path.join(folder, name) for name in names if name not in there]
    return missing


def table(rows: Sequence[Sequence[str]]) -> str:
    """Aligned text columns: the first and the last to the left, figures to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    last = len(widths) - 1
    return '\n'.join('  '.join(
        cell.ljust(width) if i in (0, last) else cell.rjust(width)
        for i, (cell, width) in enumerate(zip(row, widths))).rstrip() for row in rows)


def _counts(dataset: Any) -> np.ndarray:
    return np.array(count_classes(dataset, len(dataset.CLASSES)).samples)


def _row(name: str, counts: np.ndarray, verdict: str) -> tuple[str, ...]:
    groups = [''] * 3
    if name.startswith('train'):
        groups = [str(len(members)) for members in shot_groups(counts.tolist(), (20, 100)).values()]
    return (name, str(counts.sum()), str(len(counts)), str(counts.max()), str(counts.min()),
            *groups, verdict)


def _download_cifar(cls: type[CIFARLT], root: Path) -> None:
    if all((root / cls.FOLDER / name).is_file()
           for name in [cls.META[0], *(name for files in cls.FILES.values() for name in files)]):
        return
    from torchvision.datasets import CIFAR10, CIFAR100
    root.mkdir(parents=True, exist_ok=True)
    try:
        (CIFAR10 if cls is CIFAR10LT else CIFAR100)(str(root), download=True)
    except (OSError, RuntimeError) as error:
        raise SystemExit(f'{cls.URL} could not be fetched ({error}); unpack it into {root} '
                         'yourself, then run this command again') from error


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point of ``tools/data/prepare.py``; ends with 1 where something is not in order."""
    args = parse_args(argv)
    try:
        rows = check_cifar(args) if args.benchmark in CIFAR else check_lists(args)
    except (FileNotFoundError, ValueError) as error:
        raise SystemExit(str(error)) from error
    print(table([_HEADER, *rows]))
    wrong = [row[0] for row in rows if 'differs' in row[-1] or 'missing' in row[-1]]
    if wrong:
        raise SystemExit(f'{args.benchmark}: not in order: {", ".join(wrong)}; the lists come from '
                         f'{LISTS[args.benchmark].SOURCE}')
