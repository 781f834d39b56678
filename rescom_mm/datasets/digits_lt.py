from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from mmpretrain.datasets import BaseDataset
from mmpretrain.registry import DATASETS

from ..utils import check_options
from .long_tail import long_tailed_indices

_TEST_PER_CLASS, _TUNE_PER_CLASS = 50, 25


@DATASETS.register_module()
@check_options
class DigitsLT(BaseDataset):
    """scikit-learn's bundled handwritten digits (1,797 real 8x8 images), made long-tailed.

    Nothing is downloaded. 50 images a class, always the same ones, are the test set; the rest
    (124 to 133 a class) is what the long-tailed training set is drawn from.

    Args:
        split: ``'train'`` (long-tailed) or ``'test'`` (balanced, 500 images); for choosing settings
            without the test set, ``'tune_train'`` (long-tailed) and ``'tune_val'`` (balanced,
            250 images), which share the images that ``'train'`` is drawn from.
        imbalance_factor: largest class size over the smallest, of the long-tailed splits.
        profile: ``'exp'`` or ``'step'``, see ``LongTailedDataset``.
        seed: which images the long-tailed splits keep.
        pipeline: transforms; images are uint8 ``[8, 8, 3]``, 0 ... 255, three equal channels.
        test_mode: as in ``BaseDataset``.
        lazy_init: as in ``BaseDataset``.
    """

    METAINFO = {'classes': tuple('0123456789')}
    _SPLITS = ('train', 'test', 'tune_train', 'tune_val')

    def __init__(self, split: str = 'train', imbalance_factor: float = 20, profile: str = 'exp',
                 seed: int = 0, pipeline: Sequence[dict | Callable] = (), test_mode: bool = False,
                 lazy_init: bool = False) -> None:
        if split not in self._SPLITS:
            raise ValueError(f'DigitsLT: split must be one of {self._SPLITS}, got {split!r}')
        self.split = split
        self.imbalance_factor = imbalance_factor
        self.profile = profile
        self.seed = seed
        super().__init__(ann_file='', pipeline=pipeline, test_mode=test_mode, lazy_init=lazy_init)

    def load_data_list(self) -> list[dict]:
        """The chosen images and labels, in memory."""
        from sklearn.datasets import load_digits  # here: importing it takes a second
        digits = load_digits()
        labels = digits.target.astype(np.int64)
        positions = _split_positions(labels, self.split)
        if self.split.endswith('train'):
            positions = positions[long_tailed_indices(
                labels[positions], self.imbalance_factor, self.profile, self.seed, 10)]
        images = np.round(digits.images * (255 / 16)).astype(np.uint8)
        return [dict(img=np.repeat(images[i][..., None], 3, axis=2), gt_label=int(labels[i]),
                     source_idx=int(i)) for i in positions]

    def extra_repr(self) -> list[str]:
        return [f'Split: \t{self.split}', f'Imbalance factor: \t{self.imbalance_factor}',
                f'Seed: \t{self.seed}']


def _split_positions(labels: np.ndarray, split: str) -> np.ndarray:
    """Positions of a split before it is made long-tailed, ascending; the same on every machine."""
    generator = np.random.RandomState(0)
    parts = []
    for label in range(10):
        positions = np.flatnonzero(labels == label)
        generator.shuffle(positions)
        test, rest = positions[:_TEST_PER_CLASS], positions[_TEST_PER_CLASS:]
        parts.append({'test': test, 'train': rest, 'tune_val': rest[:_TUNE_PER_CLASS],
                      'tune_train': rest[_TUNE_PER_CLASS:]}[split])
    return np.sort(np.concatenate(parts))
