from __future__ import annotations

from pathlib import Path
from typing import Any

from mmpretrain.datasets import BaseDataset
from mmpretrain.datasets.categories import IMAGENET_CATEGORIES
from mmpretrain.registry import DATASETS

from ..utils import check_options
from .list_file import read_list_file


@DATASETS.register_module()
@check_options
class ImageNetLT(BaseDataset):
    """ImageNet-LT (Liu et al., CVPR 2019): 1,000 classes of 5 to 1,280 training images.

    Args:
        data_root: folder of ImageNet's ``train/`` and ``val/``.
        split: ``'train'`` (115,846 images), ``'val'`` (20,000) or ``'test'`` (50,000).
        ann_file: the benchmark's list; ``{data_root}/ImageNet_LT_{split}.txt`` where None. A
            relative path is looked up in ``data_root``.
        pipeline: transforms.
        test_mode: as in ``BaseDataset``.
        lazy_init: as in ``BaseDataset``.
    """

    METAINFO = {'classes': IMAGENET_CATEGORIES}

    def __init__(self, data_root: str, split: str = 'train', ann_file: str | None = None,
                 pipeline: Any = (), test_mode: bool = False, lazy_init: bool = False) -> None:
        if split not in ('train', 'val', 'test'):
            raise ValueError(f"ImageNetLT: split must be 'train', 'val' or 'test', got {split!r}")
        self.split = split
        super().__init__(ann_file=ann_file or f'ImageNet_LT_{split}.txt', data_root=data_root,
                         pipeline=pipeline, test_mode=test_mode, lazy_init=lazy_init)

    def load_data_list(self) -> list[dict]:
        """Image paths and labels of the list."""
        return read_list_file(Path(self.ann_file), self.data_root, len(self.METAINFO['classes']))
