"""Brings the files of a benchmark into its data_root: links to images, and list files."""

from __future__ import annotations

import json
import os
import re
import tarfile
import tempfile
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from torch.hub import download_url_to_file

from ..datasets.list_benchmark import ListBenchmark
from ..datasets.list_file import list_entries


def link_images(folders: Sequence[Path], root: Path, names: Sequence[str],
                levels: Sequence[str] = ('', )) -> list[Path]:
    """Links a user's image folders under ``root``; copies and replaces nothing.

    Args:
        folders: each holds folders of ``names``, directly or at one of ``levels``, or is one.
        root: where the links go.
        names: what the folders are called that are to be linked.
        levels: paths below a release's own folder at which it may keep them.

    Returns:
        The folders found.

    Raises:
        SystemExit: before any link is made, if a folder holds none of ``names`` or a place is
            taken.
    """
    found = [target for folder in folders for target in _find(folder, names, levels)]
    new: dict[Path, Path] = {}
    for target in found:
        link = root / target.name
        taken = new.get(link)
        if taken is None and not os.path.lexists(link):
            new[link] = target.resolve()
            continue
        taken = taken or link
        if not (taken.exists() and taken.samefile(target)):
            raise SystemExit(f'{link} is in the way of a link to {target}; nothing was linked. '
                             'Move it away, or leave --images out to use what is there')
    root.mkdir(parents=True, exist_ok=True)
    for link, target in new.items():
        link.symlink_to(target, target_is_directory=True)
        print(f'linked {link} -> {target}')
    return found


def _find(folder: Path, names: Sequence[str], levels: Sequence[str]) -> list[Path]:
    if not folder.is_dir():
        raise SystemExit(f'--images {folder} is no folder')
    for level in levels:
        found = [folder / level / name for name in names if (folder / level / name).is_dir()]
        if found:
            return found
    folder = Path(os.path.abspath(folder))  # its name as the user knows it, links unresolved
    if folder.name in names:
        return [folder]
    raise SystemExit(f'--images {folder} holds none of {", ".join(names)}; give the folder that '
                     'does')


def supply_lists(cls: type[ListBenchmark], root: Path, lists: Path | None,
                 beside: Sequence[Path], download: bool) -> None:
    """Writes the lists that ``root`` lacks, from files of known names or from the network.

    Only what has the published class sizes is taken. iNaturalist's official annotations
    (``train2018.json``, or the archive of it) are lists too.

    Args:
        cls: the benchmark.
        root: where the lists go; those that are there stay as they are.
        lists: folder to look in, and in the folders in it.
        beside: other folders to look in.
        download: whether to fetch what is in none of them.
    """
    for split in cls.URLS:  # iNaturalist's test list is its val list
        target = root / cls.LISTS[split]
        if os.path.lexists(target):
            continue
        if any(_take(cls, split, source, target) for source in _candidates(cls, split, lists,
                                                                           beside)):
            continue
        if download:
            download = _fetch(cls, split, target)


def _candidates(cls: type[ListBenchmark], split: str, lists: Path | None,
                beside: Sequence[Path]) -> Iterator[Path]:
    """Files that may be a list: ImageNet_LT_train.txt, imagenet-lt/train.txt and the like."""
    wanted = _plain(Path(cls.LISTS[split]).stem)
    archive = cls.URLS[split].rpartition('/')[2]
    official = [archive[:-len('.tar.gz')], archive] if archive.endswith('.json.tar.gz') else []
    deep = [lists, *sorted(path for path in lists.iterdir() if path.is_dir())] if lists else []
    for folder in [*deep, *beside]:
        for path in sorted(folder.glob('*.txt')):
            if wanted in (_plain(path.stem), _plain(path.resolve().parent.name + path.stem)):
                yield path
        yield from (folder / name for name in official if (folder / name).is_file())


def _plain(name: str) -> str:
    return re.sub('[^a-z0-9]', '', name.lower())


def _take(cls: type[ListBenchmark], split: str, source: Path, target: Path) -> bool:
    """Writes a list as ``target`` if it is the published one; says what it did."""
    num_classes = len(cls.METAINFO['classes'])
    try:
        if source.suffix == '.txt':
            entries = [(path, label) for _, path, label in list_entries(source, num_classes)]
        else:
            print(f'reading {source}')
            entries = coco_entries(source)
        counts = np.bincount([label for _, label in entries], minlength=num_classes)
    except ValueError as error:
        print(f'not taken: {error}')
        return False
    difference = cls.FACTS.difference(counts, split)
    if len(counts) > num_classes:
        difference = f'{len(counts)} classes (published: {num_classes})'
    if difference:
        print(f'not taken: {source} is not the published {split} list: {difference}')
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f'{target.name}.partial')
    partial.write_text(''.join(f'{path} {label}\n' for path, label in entries), encoding='utf-8')
    partial.replace(target)
    print(f'wrote {target} from {source}')
    return True


def coco_entries(source: Path) -> list[tuple[str, int]]:
    """Path and label of every image of a COCO annotation file, in the order of its images.

    Args:
        source: JSON of ``images`` (``id``, ``file_name``) and ``annotations`` (``image_id``,
            ``category_id``), or a ``.tar.gz`` of it.

    Raises:
        ValueError: if it cannot be read, or an image has not exactly one label.
    """
    try:
        if source.suffix == '.gz':
            with tarfile.open(source) as archive:
                file = next(archive.extractfile(member) for member in archive
                            if member.name.endswith('.json'))
                content = json.load(file)  # type: ignore[arg-type]
        else:
            content = json.loads(source.read_bytes())
        labels = {entry['image_id']: int(entry['category_id'])
                  for entry in content['annotations']}
        repeated = Counter(entry['image_id'] for entry in content['annotations'])
        entries = [(str(image['file_name']), labels[image['id']]) for image in content['images']]
    except (ValueError, KeyError, TypeError, StopIteration, OSError, EOFError, zlib.error,
            tarfile.TarError) as error:
        raise ValueError(f'{source} is no annotation file in COCO format with a category_id for '
                         f'each of its images ({error!r})') from error
    if not entries or max(repeated.values()) > 1 or min(labels.values()) < 0:
        raise ValueError(f'{source} has no images, several labels of one, or negative labels')
    return entries


def _fetch(cls: type[ListBenchmark], split: str, target: Path) -> bool:
    """Downloads a list; False where the network does not give it."""
    url = cls.URLS[split]
    print(f'fetching {url}')
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / url.rpartition('/')[2]
        try:
            download_url_to_file(url, str(file))
        except (OSError, RuntimeError) as error:
            print(f'could not be fetched: {error}')
            return False
        _take(cls, split, file, target)
    return True
