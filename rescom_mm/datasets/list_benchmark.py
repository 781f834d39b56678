"""What the benchmarks that come as list files share."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
from mmengine.logging import print_log
from mmpretrain.datasets import BaseDataset

from .benchmark_facts import BenchmarkFacts
from .list_file import Spelling, read_list_file


class ListBenchmark(BaseDataset):
    """Base of the benchmarks whose images are listed in files of ``relative/path label`` lines.

    Args:
        data_root: folder of the images, with or without the lists.
        split: ``'train'``, ``'val'`` or ``'test'``.
        ann_file: the list; the benchmark's own name in ``data_root`` where None. A relative path
            is looked up in ``data_root``.
        pipeline: transforms.
        test_mode: as in ``BaseDataset``.
        lazy_init: as in ``BaseDataset``.
    """

    #: the name that ``tools/data/prepare.py`` knows the data set by
    NAME: ClassVar[str]
    #: the list of each split
    LISTS: ClassVar[dict[str, str]]
    #: ways in which releases of the images spell an image's folder, from :meth:`folder_parts`
    SPELLINGS: ClassVar[Sequence[str]]
    FACTS: ClassVar[BenchmarkFacts]
    #: where the lists and the images come from
    SOURCE: ClassVar[str]
    #: folders of the images: the first parts of the spelt paths
    FOLDERS: ClassVar[Sequence[str]]
    #: where releases keep these folders, below their own; ``''`` is directly in it
    LEVELS: ClassVar[Sequence[str]] = ('', )
    #: addresses from which the list of a split can be had, or made
    URLS: ClassVar[dict[str, str]]

    def __init__(self, data_root: str, split: str = 'train', ann_file: str | None = None,
                 pipeline: Sequence[dict | Callable] = (), test_mode: bool = False,
                 lazy_init: bool = False) -> None:
        if split not in self.LISTS:
            raise ValueError(f"{type(self).__name__}: split must be 'train', 'val' or 'test', got "
                             f'{split!r}')
        self.split = split
        super().__init__(ann_file=ann_file or self.LISTS[split],
                         data_root=str(Path(data_root).expanduser()), pipeline=pipeline,
                         test_mode=test_mode, lazy_init=lazy_init)

    @classmethod
    def folder_parts(cls, folder: str, label: int) -> dict[str, str] | None:
        """What the spellings are filled with; None for a folder in no known spelling."""
        raise NotImplementedError

    @classmethod
    def read(cls, ann_file: str | Path, data_root: str | Path) -> list[dict]:
        """Image paths and labels of a list, spelt as the images are; see ``read_list_file``."""
        spellings: list[Spelling] = [partial(cls._spell, text) for text in cls.SPELLINGS]
        return read_list_file(
            ann_file, data_root, len(cls.METAINFO['classes']), spellings,
            f'{cls.SOURCE}; python tools/data/prepare.py {cls.NAME} --data-root {data_root} '
            '--download fetches it')

    @classmethod
    def _spell(cls, spelling: str, folder: str, label: int) -> str | None:
        parts = cls.folder_parts(folder, label)
        return None if parts is None else spelling.format_map(parts)

    def load_data_list(self) -> list[dict]:
        """Image paths and labels of the list; says how it differs from the published one."""
        items = self.read(self.ann_file, self.data_root)
        counts = np.bincount([item['gt_label'] for item in items],
                             minlength=len(self.METAINFO['classes']))
        difference = self.FACTS.difference(counts, self.split)
        if difference:
            print_log(f'{type(self).__name__}: {self.ann_file} is not the published {self.split} '
                      f'list: {difference}', logger='current', level=logging.WARNING)
        return items
