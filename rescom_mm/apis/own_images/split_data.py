"""Turns one's own images into training and test lists: ``tools/data/split.py``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ...datasets import long_tailed_indices
from .commands import source_command, train_command
from .config import config_name
from .copies import has_copy
from .lists import (
    differing,
    list_texts,
    make_out,
    read_unreadable,
    write_texts,
)
from .report import class_table, group_lines, number_of
from .sizes import TEST_PER_CLASS, held_out
from .sources import ImageSource, add_source_options, find_source


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Options of ``tools/data/split.py``."""
    parser = argparse.ArgumentParser(
        description='Split your own images into a training list and a balanced test list: '
        'train.txt and test.txt ("relative/path label" a line) and classes.txt. Images that '
        'inspect.py could not read are left out; those with copies are in the training list.')
    add_source_options(parser)
    parser.add_argument('--test-per-class', type=int, default=TEST_PER_CLASS,
                        help='test images of each class; a class gives half of its images at most, '
                        'one with a single image none (default: %(default)s)')
    parser.add_argument('--imbalance-factor', type=float,
                        help='largest training class over the smallest; the class with the most '
                        'images stays the largest (default: keep all training images)')
    parser.add_argument('--seed', type=int, default=0,
                        help='of the choice of images (default: %(default)s)')
    parser.add_argument('--config', type=Path, help='the config that inspect.py wrote (default: '
                        'as there)')
    parser.add_argument('--all-classes', action='store_true', help='show the table in full')
    parser.add_argument('--force', action='store_true', help='write over lists of another content')
    return parser.parse_args(argv)


def split_labels(labels: np.ndarray, test_per_class: int, imbalance_factor: float | None,
                 seed: int, shared: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Chooses a balanced test set and, from the rest, the training set.

    Args:
        labels: ``[N]`` class ids, each of 0 ... C-1 present.
        test_per_class: size of each test class. A class with fewer than twice as many images
            gives half of them, rounded down: so one with a single image gives none.
        imbalance_factor: of the training set; None keeps all that is not in the test set.
        seed: of NumPy's legacy generator, whose stream is the same on every machine.
        shared: ``[N]`` booleans: images that are there twice, which are not tested on.

    Returns:
        Positions of the training and of the test images, each ascending.

    Raises:
        ValueError: if no image can be tested on, or a class is too small for the imbalance factor.
    """
    sizes = np.bincount(labels)
    if test_per_class < 1:
        raise ValueError(f'--test-per-class must be at least 1, got {test_per_class}')
    if not 0 <= seed < 2**32:
        raise ValueError(f'--seed must lie in 0 ... 2^32 - 1, got {seed}')
    if sizes.max() < 2:
        raise ValueError('no class has two images: none can be put apart to test on')
    free = np.ones(len(labels), bool) if shared is None else ~shared
    generator = np.random.RandomState(seed)
    test = np.sort(np.concatenate([
        generator.permutation(np.flatnonzero((labels == label) & free))[:number]
        for label, number in enumerate(held_out(sizes, test_per_class))]))
    if not test.size:
        raise ValueError('every image that could be tested on has a copy among the others; remove '
                         'the copies')
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
    try:
        found = find_source(args)
        if found.is_split:
            print(f'{args.source} has images to test on already ({found.kind}): nothing to split')
            print(f'next: {next_command(args)}')
            return
        out = make_out(args.source, args.out)
        source = found.without(read_unreadable(out))
        shared = has_copy(source.parts['train'].paths, source.root)
        split = split_source(source, shared, args)
        texts = {out / name: text for name, text in list_texts(split).items()}
        other = [] if args.force else differing(texts)
        if other:
            raise FileExistsError(f'{", ".join(map(str, other))} is there already, with another '
                                  'content; give another --out, or --force to write over it')
        write_texts(texts)
    except (ValueError, OSError) as error:
        raise SystemExit(f'{args.source}: {error}') from error
    _print_split(found, source, split, args)
    if shared.any():
        untested = int(((split.counts('test') == 0) & (source.counts() > 1)).sum())
        print(f'{number_of(int(shared.sum()), "image")} with a copy among the others: trained on, '
              'not tested on' + (f', so {number_of(untested, "class", "classes")} without a '
                                 'test image: remove the copies' if untested else ''))
    print(f'written: train.txt, test.txt and classes.txt in {out}')
    print(f'next: {next_command(args)}')


def split_source(source: ImageSource, shared: np.ndarray, args: argparse.Namespace) -> ImageSource:
    """The source with parts ``train`` and ``test``, see :func:`split_labels`."""
    images = source.parts['train']
    positions = split_labels(images.labels, args.test_per_class, args.imbalance_factor, args.seed,
                             shared)
    parts = {name: images.keep(kept) for name, kept in zip(('train', 'test'), positions)}
    return replace(source, parts=parts)


def next_command(args: argparse.Namespace) -> str:
    """Training, where the config of ``inspect.py`` is there; else ``inspect.py``."""
    config = args.config or Path(config_name(args.source))
    if config.is_file():
        return train_command(config)
    return source_command('data/inspect.py', args)


def _print_split(found: ImageSource, source: ImageSource, split: ImageSource,
                 args: argparse.Namespace) -> None:
    train, test, names = split.counts(), split.counts('test'), split.classes
    print('\n'.join(class_table(names, dict(train=train, test=test, images=source.counts()),
                                args.all_classes)))
    print('\n'.join(group_lines(train)))
    print(f'{train.sum()} training and {test.sum()} test images, seed {args.seed}')
    lost = len(found.parts['train'].paths) - len(source.parts['train'].paths)
    if lost:
        print(f'left out: {number_of(lost, "image")} that inspect.py could not read')
    fewer, none = np.flatnonzero((test > 0) & (test < args.test_per_class)), np.flatnonzero(
        source.counts() == 1)
    if fewer.size:
        print(f'fewer than {args.test_per_class} test images, half of theirs at most, from '
              f'{number_of(fewer.size, "class", "classes")}; with --test-per-class '
              f'{test[test > 0].min()} all would give the same')
    if none.size:
        shown = ', '.join(names[c] for c in none[:8])
        more = f' and {none.size - 8} more' if none.size > 8 else ''
        print(f'no test image from {number_of(none.size, "class", "classes")} with a single one, '
              f'which is trained on: {shown}{more}')
