"""Reads the official Python pickles of CIFAR-10 and CIFAR-100, made long-tailed."""

from __future__ import annotations

import hashlib
import io
import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from mmpretrain.datasets import BaseDataset

from .long_tail import long_tailed_indices

_PIXELS = 3 * 32 * 32


class CIFARLT(BaseDataset):
    """Base of ``CIFAR10LT`` and ``CIFAR100LT``.

    Args:
        data_root: folder that holds the unpacked archive's folder.
        split: ``'train'`` (long-tailed) or ``'test'`` (all 10,000 images, balanced).
        imbalance_factor: largest class size over the smallest, of the training set.
        profile: ``'exp'`` or ``'step'``, see ``LongTailedDataset``.
        seed: which images the training set keeps; the benchmark's is 0.
        check_md5: whether the files must be the official ones, byte for byte.
        pipeline: transforms; images are uint8 ``[32, 32, 3]`` in RGB order.
        test_mode: as in ``BaseDataset``.
        lazy_init: as in ``BaseDataset``.
    """

    FOLDER: ClassVar[str]
    URL: ClassVar[str]
    #: the name that ``tools/data/prepare.py`` knows the data set by
    NAME: ClassVar[str]
    #: file names and their MD5
    FILES: ClassVar[dict[str, dict[str, str]]]
    META: ClassVar[tuple[str, str, str]]
    LABELS: ClassVar[str]

    def __init__(self, data_root: str, split: str = 'train', imbalance_factor: float = 100,
                 profile: str = 'exp', seed: int = 0, check_md5: bool = True,
                 pipeline: Sequence[dict | Callable] = (), test_mode: bool = False,
                 lazy_init: bool = False) -> None:
        if split not in self.FILES:
            raise ValueError(f"{type(self).__name__}: split must be 'train' or 'test', got "
                             f'{split!r}')
        self.split = split
        self.imbalance_factor = imbalance_factor
        self.profile = profile
        self.seed = seed
        self.check_md5 = check_md5
        super().__init__(ann_file='', data_root=str(Path(data_root).expanduser()),
                         pipeline=pipeline, test_mode=test_mode, lazy_init=lazy_init)

    def load_data_list(self) -> list[dict]:
        """The chosen images and labels, in memory; class by class in training."""
        self._check_names()
        parts = [self._read_batch(name, md5) for name, md5 in self.FILES[self.split].items()]
        images = np.concatenate([part[0] for part in parts]) if len(parts) > 1 else parts[0][0]
        labels = np.concatenate([part[1] for part in parts])
        chosen = np.arange(len(labels))
        if self.split == 'train':
            chosen = long_tailed_indices(labels, self.imbalance_factor, self.profile, self.seed,
                                         len(self.METAINFO['classes']))
        images_NHWC = np.ascontiguousarray(
            images[chosen].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
        return [dict(img=image, gt_label=label, source_idx=index) for image, label, index
                in zip(images_NHWC, labels[chosen].tolist(), chosen.tolist())]

    def _check_names(self) -> None:
        """Sees that the files number the classes as the package does."""
        file, key, md5 = self.META
        names = [_text(name) for name in self._load(file, md5).get(key, ())]
        if names != list(self.METAINFO['classes']):
            raise ValueError(f'{self._path(file)}: {key} is not the list of class names of the '
                             f'official file; {self._way_out}')

    def _read_batch(self, name: str, md5: str) -> tuple[np.ndarray, np.ndarray]:
        batch = self._load(name, md5)
        images, labels = batch.get('data'), np.asarray(batch.get(self.LABELS))
        num_classes = len(self.METAINFO['classes'])
        if (not isinstance(images, np.ndarray) or images.dtype != np.uint8
                or images.shape != (len(images), _PIXELS) or labels.shape != (len(images), )
                or labels.dtype.kind not in 'iu' or not len(labels)
                or labels.min() < 0 or labels.max() >= num_classes):
            raise ValueError(f'{self._path(name)}: expected data (uint8 [N, {_PIXELS}]) and '
                             f'{self.LABELS} (N ids in 0 ... {num_classes - 1}); {self._way_out}')
        return images, labels.astype(np.int64)

    def _load(self, name: str, md5: str) -> dict:
        path = self._path(name)
        if not path.is_file():
            raise FileNotFoundError(f'{type(self).__name__}: {path} does not exist; '
                                    f'{self._way_out}')
        content = path.read_bytes()
        if self.check_md5:
            found = hashlib.md5(content, usedforsecurity=False).hexdigest()
            if found != md5:
                raise ValueError(
                    f'{type(self).__name__}: {path} has MD5 {found}, the official file {md5}; '
                    f'{self._way_out}, or accept this copy with check_md5=False')
        try:
            batch = _loads(content)
        except Exception as error:  # a damaged pickle can raise anything
            raise ValueError(f'{type(self).__name__}: {path} is no pickle of CIFAR ({error}); '
                             f'{self._way_out}') from error
        if not isinstance(batch, dict):
            return {}
        return {_text(key): value for key, value in batch.items()}

    def _path(self, name: str) -> Path:
        return Path(self.data_root) / self.FOLDER / name

    @property
    def _way_out(self) -> str:
        return (f'set data_root to the folder that holds {self.FOLDER}/, or unpack {self.URL} '
                f'there (python tools/data/prepare.py {self.NAME} --data-root {self.data_root} '
                '--download)')

    def extra_repr(self) -> list[str]:
        return [f'Prefix of data: \t{self.data_root}', f'Split: \t{self.split}',
                f'Imbalance factor: \t{self.imbalance_factor}', f'Profile: \t{self.profile}',
                f'Seed: \t{self.seed}']


class _ArraysOnly(pickle.Unpickler):
    """Runs nothing that a pickle of arrays does not need: copies come from anywhere."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ('_codecs', 'encode'):
            return super().find_class(module, name)
        if module in ('numpy.core.multiarray', 'numpy._core.multiarray') and name == '_reconstruct':
            return np.ndarray.__reduce__(np.empty(0))[0]  # without NumPy's notice of its new place
        if (module, name) in (('numpy', 'ndarray'), ('numpy', 'dtype')):
            return getattr(np, name)
        raise pickle.UnpicklingError(f'it wants {module}.{name}')


def _loads(content: bytes) -> Any:
    # Python 2's strings as bytes: latin1 would decode and encode all pixels
    return _ArraysOnly(io.BytesIO(content), encoding='bytes').load()


def _text(name: bytes | str) -> str:
    return name.decode() if isinstance(name, bytes) else name
