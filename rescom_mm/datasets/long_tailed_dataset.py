from __future__ import annotations

from typing import Any

import numpy as np
from mmpretrain.registry import DATASETS

from ..utils import check_options, delivered_items
from .long_tail import long_tailed_indices


@DATASETS.register_module()
@check_options
class LongTailedDataset:
    """Makes any labelled dataset long-tailed by keeping a seeded subset of each class.

    Everything else (pipeline, classes, annotations) is that of the wrapped dataset.

    Args:
        dataset: a dataset or its config.
        imbalance_factor: rho, size of the largest class over that of the smallest, at least 1.
        profile: ``'exp'``: sizes fall exponentially with the class id; ``'step'``: the first half
            of the classes keep n_max, the others n_max / rho.
        seed: of the choice of images.
        lazy_init: whether to read the labels later, at ``full_init()``.

    Examples:
        >>> from rescom_mm.datasets import DigitsLT, LongTailedDataset
        >>> digits = DigitsLT(split='train', imbalance_factor=1)
        >>> dataset = LongTailedDataset(digits, imbalance_factor=10)
        >>> len(dataset) < len(digits)
        True
    """

    def __init__(self, dataset: Any, imbalance_factor: float, profile: str = 'exp', seed: int = 0,
                 lazy_init: bool = False) -> None:
        given = 'type' in dataset if isinstance(dataset, dict) else (
            hasattr(dataset, '__getitem__') and hasattr(dataset, '__len__'))
        if not given or isinstance(dataset, (str, bytes, list, tuple)):
            raise ValueError('LongTailedDataset: dataset must be a dataset, or its config with a '
                             f'type, got {dataset!r}')
        self.dataset = DATASETS.build(dataset) if isinstance(dataset, dict) else dataset
        self.imbalance_factor = imbalance_factor
        self.profile = profile
        self.seed = seed
        self._metainfo = dict(getattr(self.dataset, 'metainfo', {}))
        self._fully_initialized = False
        if not lazy_init:
            self.full_init()

    def full_init(self) -> None:
        """Reads the labels and chooses the images."""
        if self._fully_initialized:
            return
        if hasattr(self.dataset, 'full_init'):
            self.dataset.full_init()
        self._metainfo = dict(getattr(self.dataset, 'metainfo', {}))
        _, labels = delivered_items(self.dataset)
        num_classes = len(self._metainfo['classes']) if self._metainfo.get('classes') else None
        self._indices = long_tailed_indices(labels, self.imbalance_factor, self.profile, self.seed,
                                            num_classes)
        self._labels = labels[self._indices]
        self._fully_initialized = True

    @property
    def indices(self) -> np.ndarray:
        """Positions of the kept images in the wrapped dataset."""
        self.full_init()
        return self._indices

    @property
    def metainfo(self) -> dict:
        """A copy of the meta information."""
        return dict(self._metainfo)

    @property
    def CLASSES(self) -> Any:
        """Class names."""
        return self._metainfo.get('classes')

    @property
    def pipeline(self) -> Any:
        """The wrapped dataset's pipeline."""
        return self.dataset.pipeline

    @pipeline.setter
    def pipeline(self, pipeline: Any) -> None:
        self.dataset.pipeline = pipeline

    def get_gt_labels(self) -> np.ndarray:
        """Labels of all kept images."""
        self.full_init()
        return self._labels

    def get_cat_ids(self, idx: int) -> list[int]:
        """The label of one image, as mmengine's wrappers want it."""
        return [int(self.get_gt_labels()[idx])]

    def get_data_info(self, idx: int) -> dict:
        """The annotation of one image."""
        return self.dataset.get_data_info(int(self.indices[idx]))

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, idx: int) -> Any:
        return self.dataset[int(self.indices[idx])]

    def __repr__(self) -> str:
        return (f'{type(self).__name__}(imbalance_factor={self.imbalance_factor}, '
                f'profile={self.profile!r}, seed={self.seed}, {len(self)} images of '
                f'{self.dataset!r})')
