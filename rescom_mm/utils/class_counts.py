"""Class counts of a training set: what they are, where they come from, who needs them."""

from __future__ import annotations

import hashlib
import os
import pickle
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from mmengine.dataset import BaseDataset

HOOK_LINE = "default_hooks = dict(class_counts=dict(type='ClassCountsHook'))"


@dataclass(frozen=True)
class ClassCounts:
    """Counts of a training set by class id.

    Attributes:
        images: n_c, the distinct training images of class c (shot groups, class weights).
        samples: images that one epoch of the dataset delivers, wrappers that repeat images
            included; divided by its sum it is the prior pi_c of Balanced Softmax.
    """

    images: tuple[int, ...]
    samples: tuple[int, ...]

    def to_meta(self) -> dict[str, list[int]]:
        """Plain lists: what goes into the dataset's ``metainfo`` and so into checkpoints."""
        return dict(images=list(self.images), samples=list(self.samples))

    @classmethod
    def from_meta(cls, meta: dict[str, list[int]]) -> ClassCounts:
        return cls(tuple(meta['images']), tuple(meta['samples']))


class NeedsClassCounts:
    """A loss or metric that works with the class counts of the training set.

    ``ClassCountsHook`` calls :meth:`set_class_counts` before training starts, and when a
    checkpoint is loaded. Counts that the config gives (``class_counts=[...]``) win.
    """

    #: which field of :class:`ClassCounts` the component works with
    counts_field = 'images'
    #: False where the component does without counts under its present options
    needs_counts = True
    #: True where a class without a training image makes the component's result undefined
    needs_every_class = True
    #: True where a part of the model works with the counts in evaluation too
    needed_at_test = False
    _given: tuple[int, ...] | None = None

    def _init_class_counts(self, class_counts: Sequence[int] | None) -> None:
        if class_counts is None:
            return
        given = tuple(int(n) for n in class_counts)
        if min(given, default=0) < 1 and self.needs_every_class:
            raise ValueError(
                f'{type(self).__name__}: class_counts must hold a positive number of images for '
                f'every class, got {_short(given)}')
        self._given = given
        self._use_counts(given)

    def set_class_counts(self, counts: ClassCounts) -> None:
        """Takes the counts found in the training data, unless the config gave its own.

        Raises:
            ValueError: if counts given in the config contradict those of the data.
        """
        found = getattr(counts, self.counts_field)
        if self._given is None:
            self._use_counts(found)
            return
        name, given = type(self).__name__, self._given
        if len(given) != len(found):
            raise ValueError(
                f'{name}: class_counts in the config has {len(given)} entries, the training data '
                f'has {len(found)} classes; give one count a class, or delete class_counts to '
                'have them counted')
        for label, (mine, theirs) in enumerate(zip(given, found)):
            if (mine == 0) != (theirs == 0):
                raise ValueError(
                    f'{name}: class_counts in the config says {mine} images for class {label}, '
                    f'the training data has {theirs}; correct the config or the data, or delete '
                    'class_counts to have them counted')

    def _use_counts(self, counts: tuple[int, ...]) -> None:
        raise NotImplementedError

    def _missing_counts(self) -> RuntimeError:
        return RuntimeError(
            f'{type(self).__name__} needs the class counts of the training set and has none; add '
            f'`{HOOK_LINE}` to the config (configs/_base_/default_runtime.py has it), or give '
            'class_counts=[...] to the component')


def delivered_items(dataset: Any, ids_by_image: dict[Any, int] | None = None
                    ) -> tuple[np.ndarray, np.ndarray]:
    """What one epoch of a dataset delivers.

    Follows mmengine's and torch's wrappers down to the datasets that hold the labels. An image is
    known by its path, where a dataset gives one, else by its place in the dataset.

    Returns:
        Two int64 arrays of one entry per delivered item: an id that is the same for the same
        image, and the label. (``ids_by_image`` is for the recursion alone.)

    Raises:
        ValueError: for multi-label data, or a dataset whose labels can't be read.
    """
    ids_by_image = {} if ids_by_image is None else ids_by_image
    while getattr(type(dataset), 'transparent', False):  # its attributes are the inner one's
        dataset = dataset.dataset
    if hasattr(dataset, 'full_init'):
        dataset.full_init()
    if hasattr(dataset, 'datasets'):  # ConcatDataset of torch and of mmengine
        parts = [delivered_items(part, ids_by_image) for part in dataset.datasets]
        return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])

    inner = getattr(dataset, 'dataset', None)
    if inner is not None:
        if hasattr(dataset, 'repeat_indices'):  # mmengine ClassBalancedDataset
            order = np.asarray(dataset.repeat_indices)
        elif hasattr(dataset, 'times'):  # mmengine RepeatDataset
            order = np.tile(np.arange(len(inner)), dataset.times)
        elif hasattr(dataset, 'indices'):  # torch Subset, LongTailedDataset
            order = np.asarray(dataset.indices)
        elif len(dataset) == len(inner):  # KFoldDataset holds its own subset
            order = np.arange(len(inner))
        else:
            return _leaf(dataset, ids_by_image)
        ids, labels = delivered_items(inner, ids_by_image)
        return ids[order], labels[order]
    return _leaf(dataset, ids_by_image)


def list_digest(dataset: Any) -> bytes:
    """A digest of the delivered images, in order: their labels, and their paths where known.

    Of paths only what follows their common beginning: data may lie elsewhere on each machine.
    """
    ids_by_image: dict[Any, int] = {}
    ids, labels = delivered_items(dataset, ids_by_image)
    paths = [path for path, _ in ids_by_image if isinstance(path, str)]
    start = len(os.path.commonprefix(paths))  # noqa: RUF071  any common beginning
    digest = hashlib.sha256(ids.tobytes() + labels.tobytes())
    for path in paths:
        digest.update(path[start:].encode(errors='surrogateescape') + b'\0')
    return digest.digest()


def _annotations(dataset: Any) -> Iterator[dict]:
    """``get_data_info`` of every item, several times as fast where mmengine's own is used."""
    if getattr(type(dataset), 'get_data_info', None) is not BaseDataset.get_data_info \
            or not dataset.serialize_data:
        return map(dataset.get_data_info, range(len(dataset)))
    ends = dataset.data_address.tolist()
    serialized = memoryview(dataset.data_bytes)
    return (pickle.loads(serialized[start:end]) for start, end in zip([0, *ends], ends))


def _leaf(dataset: Any, ids_by_image: dict[Any, int]) -> tuple[np.ndarray, np.ndarray]:
    name, paths = type(dataset).__name__, []
    found: list[tuple[Any, str | None]] = []
    try:
        if hasattr(dataset, 'get_data_info'):
            found = [(item['gt_label'], item.get('img_path'))
                     for item in _annotations(dataset)]
            labels = np.asarray([label for label, _ in found])
            paths = [path for _, path in found]
        elif hasattr(dataset, 'get_gt_labels'):
            labels = np.asarray(dataset.get_gt_labels())
        elif hasattr(dataset, 'targets'):  # torchvision
            labels = np.asarray(dataset.targets)
        else:
            raise ValueError(
                f'the labels of {name} cannot be read: give it a method get_gt_labels() that '
                'returns one class id an image, or write class_counts=[...] for each loss')
    except ValueError as error:
        if 'inhomogeneous' not in str(error):
            raise
        labels = np.empty((len(dataset), 0))
    except KeyError as error:
        raise ValueError(f'{name} has images without the label {error}; training with class '
                         'counts needs one class id an image') from error
    if labels.ndim != 1 or labels.dtype.kind not in 'iu':
        shown = f': the first label is {found[0][0]!r}' if found else ''
        raise ValueError(
            f'{name} is multi-label data (an image has several labels, or scores){shown}; '
            'rescom_mm needs exactly one class id an image: use a single-label dataset')
    # a file listed under two labels is an image of each
    ids = [ids_by_image.setdefault((path, label) if path else (id(dataset), i), len(ids_by_image))
           for i, (path, label) in enumerate(zip(paths or [None] * len(labels), labels.tolist()))]
    return np.array(ids, dtype=np.int64), labels.astype(np.int64)


def count_classes(dataset: Any, num_classes: int,
                  key: str = 'train_dataloader.dataset') -> ClassCounts:
    """Counts of a dataset, wrappers included; see :class:`ClassCounts`.

    Args:
        dataset: a dataset with one label an image.
        num_classes: C.
        key: config key of the dataset, for errors.

    Raises:
        ValueError: for a label outside 0 ... num_classes - 1, and as :func:`delivered_items`.
    """
    try:
        ids, labels = delivered_items(dataset)
    except ValueError as error:
        raise ValueError(f'{key}: {error}') from error
    wrong = np.flatnonzero((labels < 0) | (labels >= num_classes))
    if wrong.size:
        first = int(wrong[0])
        raise ValueError(
            f'{key}: item {first}{_where(dataset, first)} has label '
            f'{labels[first]}, outside 0 ... {num_classes - 1} ({wrong.size} such items); correct '
            f'the labels, or model.head.num_classes (now {num_classes})')
    _, firsts = np.unique(ids, return_index=True)
    images = np.bincount(labels[firsts], minlength=num_classes)
    samples = np.bincount(labels, minlength=num_classes)
    return ClassCounts(tuple(images.tolist()), tuple(samples.tolist()))


def _where(dataset: Any, index: int) -> str:
    try:
        path = dataset.get_data_info(index).get('img_path')
    except Exception:  # only decoration of another error
        return ''
    return f' ({path})' if path else ''


def _short(values: Sequence[int], most: int = 12) -> str:
    shown = ', '.join(str(value) for value in values[:most])
    return f'[{shown}{", ..." if len(values) > most else ""}]'
