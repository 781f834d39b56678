"""Turns a folder of class folders into training and test lists: ``tools/data/split.py``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..datasets import long_tailed_indices
from ..datasets.own_images import EXTENSIONS


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Options of ``tools/data/split.py``."""
    parser = argparse.ArgumentParser(
        description='Split a folder of class folders into a training list and a balanced test '
        'list: train.txt and test.txt ("relative/path label" a line) and classes.txt.')
    parser.add_argument('folder', help='holds one folder of images a class')
    parser.add_argument('--out', help='where the lists go (default: FOLDER)')
    parser.add_argument('--test-per-class', type=int, default=20,
                        help='test images of each class (default: %(default)s)')
    parser.add_argument('--imbalance-factor', type=float,
                        help='largest training class over the smallest; the class with the most '
                        'images stays the largest (default: keep all training images)')
    parser.add_argument('--seed', type=int, default=0,
                        help='of the choice of images (default: %(default)s)')
    return parser.parse_args(argv)


def find_images(folder: Path) -> tuple[list[str], list[str], np.ndarray]:
    """Class names, image paths below ``folder`` and their labels, in an order of their own.

    Raises:
        SystemExit: if there is no folder, no class, a class without images, or a name that a list
            can't hold.
    """
    if not folder.is_dir():
        raise SystemExit(f'{folder} does not exist; give the folder that holds the class folders')
    names = sorted(path.name for path in folder.iterdir()
                   if path.is_dir() and not path.name.startswith('.'))
    if not names:
        raise SystemExit(f'{folder} holds no class folders; give the folder that holds them')
    paths, labels = [], []
    for label, name in enumerate(names):
        found = sorted(path.relative_to(folder).as_posix() for path in (folder / name).rglob('*')
                       if path.suffix.lower() in EXTENSIONS and not path.name.startswith('.'))
        if not found:
            raise SystemExit(f'{folder / name} holds no image ({", ".join(EXTENSIONS)}); remove '
                             'the folder, or add images')
        paths += found
        labels += [label] * len(found)
    for name in [*names, *paths]:
        if not _can_be_listed(name):
            raise SystemExit(f'{folder}: {name!r} cannot stand in a list file (a line break, a '
                             'blank at its start or end, or no UTF-8); rename it')
    return names, paths, np.array(labels)


def _can_be_listed(name: str) -> bool:
    return (name == name.strip(' \t') and not set(name) & set('\r\n')
            and name == name.encode('utf-8', 'replace').decode())


def split_labels(labels: np.ndarray, names: Sequence[str], test_per_class: int,
                 imbalance_factor: float | None, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Chooses a balanced test set and, from the rest, the training set.

    Args:
        labels: ``[N]`` class ids, each of 0 ... C-1 present.
        names: of the classes.
        test_per_class: size of each test class.
        imbalance_factor: of the training set; None keeps all that is not in the test set.
        seed: of NumPy's legacy generator, whose stream is the same on every machine.

    Returns:
        Positions of the training and of the test images, each ascending.

    Raises:
        ValueError: if a class is too small.
    """
    sizes = np.bincount(labels)
    if test_per_class < 1:
        raise ValueError(f'--test-per-class must be at least 1, got {test_per_class}')
    if sizes.min() <= test_per_class:
        raise ValueError(f'class {names[int(sizes.argmin())]} has {sizes.min()} images: '
                         f'--test-per-class {test_per_class} leaves none to train on; give at most '
                         f'{sizes.min() - 1}, or more images')
    generator = np.random.RandomState(seed)
    test = np.sort(np.concatenate([generator.permutation(np.flatnonzero(labels == label))
                                   [:test_per_class] for label in range(len(sizes))]))
    train = np.setdiff1d(np.arange(len(labels)), test)
    if imbalance_factor is not None:
        # the profile falls with the class id: number the classes by their size for it
        rank = np.argsort(np.argsort(-sizes, kind='stable'))
        chosen = long_tailed_indices(rank[labels[train]], imbalance_factor, seed=seed)
        train = np.sort(train[chosen])
    return train, test


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point of ``tools/data/split.py``."""
    args = parse_args(argv)
    folder = Path(args.folder).expanduser()
    out = Path(args.out).expanduser() if args.out else folder
    names, paths, labels = find_images(folder)
    try:
        train, test = split_labels(labels, names, args.test_per_class, args.imbalance_factor,
                                   args.seed)
    except ValueError as error:
        raise SystemExit(f'{folder}: {error}') from error
    texts = {f'{split}.txt': [f'{paths[i]} {labels[i]}' for i in positions]
             for split, positions in (('train', train), ('test', test))}
    texts['classes.txt'] = names
    there = [name for name in texts if (out / name).exists()]
    if there:
        raise SystemExit(f'{out} already has {", ".join(there)}; remove them, or give another '
                         '--out')
    out.mkdir(parents=True, exist_ok=True)
    for name, lines in texts.items():
        (out / name).write_text('\n'.join(lines) + '\n', encoding='utf-8')
    kept, had = np.bincount(labels[train], minlength=len(names)), np.bincount(labels)
    for label in np.argsort(-kept, kind='stable'):
        print(f'{names[label]}: {kept[label]} of {had[label]} images to train on, '
              f'{args.test_per_class} to test on')
    lists = '' if out == folder else f'{out.resolve()}/'
    print(f"{len(train)} training and {len(test)} test images. In the config: "
          f"dataset=dict(type='OwnImages', data_root={str(folder)!r}, "
          f"data_prefix='', ann_file='{lists}train.txt', classes={str(out / 'classes.txt')!r})")
