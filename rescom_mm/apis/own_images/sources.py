"""What one's own images come as: folders, lists, or Hugging Face's ``imagefolder`` layout."""

from __future__ import annotations

import argparse
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ...datasets.list_file import list_entries, read_class_names, repeated_lines
from .folders import Named, class_folders, split_folders
from .metadata import find_metadata, read_metadata

_PROBES = 10  # how many of the first images may be missing before the folder is the wrong one


@dataclass(frozen=True)
class Part:
    """The images of a split, each once.

    Attributes:
        paths: below the source's root.
        labels: ``[N]`` class ids.
    """

    paths: Sequence[str]
    labels: np.ndarray

    def keep(self, kept: np.ndarray) -> Part:
        """The images at some positions, or where a mask is true."""
        positions = np.arange(len(self.paths))[kept]
        return Part([self.paths[i] for i in positions], self.labels[positions])


@dataclass(frozen=True)
class ImageSource:
    """Labelled images.

    Attributes:
        kind: what they come as, for people.
        root: folder that the paths start at.
        classes: names; a class id is the place in them.
        parts: ``train``; where images to test on are apart already, ``test``; and ``val`` where
            there is that too.
        left_out: how many files of each ending were not taken.
    """

    kind: str
    root: Path
    classes: tuple[str, ...]
    parts: dict[str, Part]
    left_out: Counter[str]

    @property
    def is_split(self) -> bool:
        """Whether images to test on are apart already; else all are in ``train``."""
        return 'test' in self.parts

    def counts(self, part: str = 'train') -> np.ndarray:
        """``[C]`` images of each class."""
        return np.bincount(self.parts[part].labels, minlength=len(self.classes))

    def without(self, paths: Sequence[str]) -> ImageSource:
        """The source with images left out.

        Raises:
            ValueError: if a class loses its last image to train on.
        """
        gone = set(paths)
        parts = {name: part.keep(np.array([path not in gone for path in part.paths], bool))
                 for name, part in self.parts.items()}
        left = replace(self, parts=parts)
        if (left.counts() == 0).any():
            label = int(np.argmin(left.counts()))
            raise ValueError(f'none of the {self.counts()[label]} training images of class '
                             f'{self.classes[label]} can be read; repair one, or remove the class')
        return left


def add_source_options(parser: argparse.ArgumentParser) -> None:
    """Options that say where the images are."""
    parser.add_argument('source', type=_path, help='a folder that holds a folder of images a '
                        'class; or one with train/ and test/ (or validation/) of class folders, '
                        'or with metadata.csv or metadata.jsonl; or a list file, one "relative/'
                        'path label" a line')
    parser.add_argument('--test', type=_path, metavar='LIST',
                        help='of a list file: the list of the test images')
    parser.add_argument('--images', type=_path, metavar='FOLDER', help='of a list file: where its '
                        "paths start (default: the list's folder)")
    parser.add_argument('--classes', type=_path, metavar='FILE', help='of a list file: the class '
                        'names, one a line (default: the numbers)')
    parser.add_argument('--label-column', default='label', metavar='NAME',
                        help='of metadata.csv or metadata.jsonl (default: %(default)s)')
    parser.add_argument('--out', type=_path, metavar='FOLDER', help='where train.txt, test.txt and '
                        'classes.txt go (default: the folder of the images, for a list file '
                        'LIST_split beside it)')


def find_source(args: argparse.Namespace) -> ImageSource:
    """Reads the names and labels of images; opens none.

    Args:
        args: of :func:`add_source_options`.

    Raises:
        FileNotFoundError: if something does not exist.
        ValueError: in one line, for what cannot be used.
    """
    if args.source.is_dir():
        if args.test or args.images or args.classes:
            raise ValueError(f'{args.source} is a folder; --test, --images and --classes are for a '
                             'list file')
        return _folder_source(args.source, args.label_column)
    if not args.source.is_file():
        raise FileNotFoundError(f'{args.source} does not exist; give the folder that holds the '
                                'class folders, or a list file')
    lists = {'train': args.source, **({'test': args.test} if args.test else {})}
    return list_source(lists, args.images or args.source.parent, args.classes,
                       f'the list {args.source.name}')


def list_source(lists: dict[str, Path], root: Path, classes: Path | None, kind: str
                ) -> ImageSource:
    """A source of list files of ``relative/path label`` lines, one for each split."""
    names = read_class_names(classes) if classes else None
    parts = {}
    for split, file in lists.items():
        if not file.is_file():
            raise FileNotFoundError(f'{file} does not exist; give the list of the {split} images')
        entries = list_entries(file, len(names) if names else None)
        repeated_lines(entries, str(file))  # raises for contradicting labels
        found = {path: label for _, path, label in entries}
        parts[split] = Part(list(found), np.array(list(found.values())))
        _check_there(parts[split].paths, root, file)
    if names is None:
        most = max(int(part.labels.max()) for part in parts.values())
        names = tuple(str(label) for label in range(most + 1))
    return _checked(ImageSource(kind, root, names, parts, Counter()))


def _folder_source(folder: Path, label_column: str) -> ImageSource:
    left_out: Counter[str] = Counter()
    splits = split_folders(folder)
    metadata = find_metadata(folder)
    if metadata is not None:
        named = _by_first_folder(read_metadata(metadata, label_column), splits)
        _check_there([path for path, _ in named['train']], folder, metadata)
        kind = f'images named in {metadata.name}'
    elif not splits:
        named = dict(train=class_folders(folder, left_out))
        kind = 'a folder a class'
    else:
        named = {split: _read_part(folder / name, label_column, left_out)
                 for split, name in splits.items()}
        kind = f'{", ".join(f"{name}/" for name in splits.values())}'
    names = {name for images in named.values() for _, name in images}
    whole_numbers = all(name.isascii() and name.isdigit() for name in names)
    classes = sorted(names, key=(lambda name: (int(name), name)) if whole_numbers else None)
    ids = {name: label for label, name in enumerate(classes)}
    parts = {split: Part([path for path, _ in images],
                         np.array([ids[name] for _, name in images], int))
             for split, images in named.items()}
    return _checked(ImageSource(kind, folder, tuple(classes), parts, left_out))


def _read_part(folder: Path, label_column: str, left_out: Counter[str]) -> Named:
    """Images of a split, from its metadata file or its class folders."""
    metadata = find_metadata(folder)
    if metadata is None:
        found = class_folders(folder, left_out)
    else:
        found = read_metadata(metadata, label_column)
        _check_there([path for path, _ in found], folder, metadata)
    return [(f'{folder.name}/{path}', name) for path, name in found]


def _by_first_folder(images: Named, splits: dict[str, str]) -> dict[str, Named]:
    """Images of one metadata file by the split in whose folder they lie."""
    if not splits:
        return dict(train=images)
    named: dict[str, Named] = {split: [] for split in splits}
    kinds = {name: split for split, name in splits.items()}
    for path, name in images:
        split = kinds.get(path.partition('/')[0])
        if split is None:
            raise ValueError(f'{path!r} of the metadata file lies in none of '
                             f'{", ".join(splits.values())}; move it into one of them')
        named[split].append((path, name))
    return {split: found for split, found in named.items() if found or split == 'train'}


def _check_there(paths: Sequence[str], root: Path, file: Path) -> None:
    probes = paths[:_PROBES]
    if probes and not any(os.path.isfile(os.path.join(root, path)) for path in probes):
        raise FileNotFoundError(f'{file}: none of the first {len(probes)} images exists, such as '
                                f'{os.path.join(root, probes[0])}; are its paths right? (--images '
                                'FOLDER says where those of a list start)')


def _checked(source: ImageSource) -> ImageSource:
    if 'val' in source.parts and 'test' not in source.parts:
        parts = dict(source.parts)
        source = replace(source, parts=dict(train=parts['train'], test=parts['val']))
    if len(source.classes) < 2:
        raise ValueError(f'{source.root} has one class only ({source.classes[0]}); a classifier '
                         'needs two or more')
    empty = np.flatnonzero(source.counts() == 0)
    if empty.size:
        raise ValueError(f'class {source.classes[empty[0]]} has no training image ({empty.size} '
                         'such classes); add some, or remove its other images and its name')
    for name in [*source.classes, *(path for part in source.parts.values()
                                    for path in part.paths)]:
        if not _can_be_listed(name):
            raise ValueError(f'{source.root}: {name!r} cannot stand in a list file (a line break, '
                             'a blank at its start or end, or no UTF-8); rename it')
    return source


def _can_be_listed(name: str) -> bool:
    return (name == name.strip(' \t') and not set(name) & set('\r\n\0')
            and name == name.encode('utf-8', 'replace').decode())


def _path(text: str) -> Path:
    return Path(text).expanduser()
