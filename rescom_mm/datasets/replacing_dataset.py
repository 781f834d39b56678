from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..utils import delivered_items
from .transforms import UndecodableImage
from .transforms.load_image import load_image

#: where a batch carries the damaged files that were met: a list of (path, reason)
DAMAGED_KEY = 'damaged_images'
# what other components ask a training dataset for
_PASSED_ON = ('metainfo', '_metainfo', 'CLASSES', 'full_init', 'get_data_info', 'get_gt_labels',
              'get_cat_ids')


@dataclass
class Replaced:
    """A sample in the place of one whose file is damaged.

    Attributes:
        sample: what the dataset gives for the other image.
        damaged: path and reason of the files that were tried before.
    """

    sample: Any
    damaged: list[tuple[str, str]]


class ReplacingDataset:
    """Gives another image of the same class where an image file can't be decoded.

    The other image is drawn with ``np.random``, uniformly among the distinct images of the class.
    An exception counts as a damaged file if decoding the file fails, whatever raised it; else it is
    the pipeline's fault and raised again. mmengine's own refetching, which draws from all classes,
    is switched off.

    Args:
        dataset: a labelled training dataset, wrappers included.
        on_error: ``'replace'``, or ``'raise'`` at the first damaged file.
        limit: largest share of the distinct images that may be damaged.

    Raises:
        UndecodableImage: by indexing, where ``on_error`` or ``limit`` says so, or a class has no
            image that can be decoded.
    """

    def __init__(self, dataset: Any, on_error: str = 'replace', limit: float = 0.01) -> None:
        self.dataset = dataset
        self.on_error = on_error
        self.limit = limit
        self._ids, self._labels = delivered_items(dataset)
        _, self._firsts = np.unique(self._ids, return_index=True)
        self._backend_args: dict | None = None
        for part in _parts(dataset):
            if hasattr(part, 'max_refetch'):
                part.max_refetch = 0
            for transform in getattr(getattr(part, 'pipeline', None), 'transforms', ()):
                self._backend_args = self._backend_args or getattr(transform, 'backend_args', None)

    def __getattr__(self, name: str) -> Any:
        if name in _PASSED_ON:
            return getattr(self.dataset, name)
        raise AttributeError(f'{type(self).__name__} has no attribute {name!r}')

    @property
    def pipeline(self) -> Any:
        """The wrapped dataset's pipeline, which hooks may switch."""
        return self.dataset.pipeline

    @pipeline.setter
    def pipeline(self, pipeline: Any) -> None:
        self.dataset.pipeline = pipeline

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Any:
        """The sample, or a :class:`Replaced`."""
        try:
            return self._sample(index)
        except Exception as error:
            damaged = [self._damage(int(index), error)]
        if self.on_error == 'raise':
            path, reason = damaged[0]
            raise UndecodableImage(f"{path!r} cannot be decoded: {reason}; repair or remove it, or "
                                   "set default_hooks.bad_images.on_error='replace'", reason)
        for other in np.random.permutation(self._others(int(index))).tolist():
            self.check(dict(damaged))
            try:
                return Replaced(self._sample(other), damaged)
            except Exception as error:
                damaged.append(self._damage(other, error))
        raise UndecodableImage(
            f'class {self._class_name(int(index))} has no image that can be decoded, '
            f'{len(damaged)} tried: {_listed(dict(damaged))}; repair them, or remove the class')

    def check(self, report: dict[str, str]) -> None:
        """Raises if too many files are damaged.

        Args:
            report: reason of each damaged file.
        """
        images = len(self._firsts)
        if len(report) > self.limit * images:
            raise UndecodableImage(
                f'{len(report)} of {images} training images cannot be decoded, which is more than '
                f'limit={self.limit:g} of BadImageHook: {_listed(report)}; repair or remove them, '
                'or set default_hooks.bad_images.limit to the share that you accept')

    def _sample(self, index: int) -> Any:
        sample = self.dataset[index]
        if sample is None:
            raise Exception('the dataset gives None')  # as mmengine says it
        return sample

    def _damage(self, index: int, error: Exception) -> tuple[str, str]:
        """Path and reason of a damaged file; raises the error if the file is good."""
        path = _image_path(self.dataset, index)
        if isinstance(error, UndecodableImage):
            return path or str(error), error.reason
        if path is None:
            raise error
        try:
            load_image(path, self._backend_args)
        except UndecodableImage as found:
            return path, found.reason
        if type(error) is Exception:  # mmengine's, that the pipeline gave None
            raise RuntimeError(f'{path!r} can be decoded, but the pipeline of '
                               f'train_dataloader.dataset gives nothing for it: {error}') from error
        raise error

    def _others(self, index: int) -> np.ndarray:
        """Where the other images of the class stand, each once."""
        ids, labels = self._ids[self._firsts], self._labels[self._firsts]
        return self._firsts[(labels == self._labels[index]) & (ids != self._ids[index])]

    def _class_name(self, index: int) -> str:
        label = int(self._labels[index])
        names = getattr(self.dataset, 'metainfo', {}).get('classes')
        return f'{label} ({names[label]})' if names else str(label)


class CollateReplaced:
    """A collate function that notes the damaged files in the batch, where there are any.

    Args:
        collate: the loader's own collate function; it has to make dicts.
    """

    def __init__(self, collate: Callable) -> None:
        self.collate = collate

    def __call__(self, samples: Sequence) -> Any:
        damaged = [file for sample in samples if type(sample) is Replaced
                   for file in sample.damaged]
        if not damaged:
            return self.collate(samples)
        batch = self.collate([sample.sample if type(sample) is Replaced else sample
                              for sample in samples])
        if not isinstance(batch, dict):
            raise TypeError(f'train_dataloader.collate_fn gives a {type(batch).__name__}; for '
                            'BadImageHook to report damaged images it has to give a dict')
        batch[DAMAGED_KEY] = damaged
        return batch


def _parts(dataset: Any) -> Iterator[Any]:
    """A dataset and all that it wraps."""
    yield dataset
    inner = [getattr(dataset, name) for name in ('dataset', '_dataset') if hasattr(dataset, name)]
    for part in [*inner, *getattr(dataset, 'datasets', ())]:
        yield from _parts(part)


def _image_path(dataset: Any, index: int) -> str | None:
    """The file of an item; None where the dataset knows none."""
    if hasattr(dataset, 'get_data_info'):
        return dataset.get_data_info(index).get('img_path')
    if hasattr(dataset, 'datasets'):  # torch's ConcatDataset
        part = bisect_right(dataset.cumulative_sizes, index)
        start = dataset.cumulative_sizes[part - 1] if part else 0
        return _image_path(dataset.datasets[part], index - start)
    if hasattr(dataset, 'dataset'):  # torch's Subset
        inner = dataset.indices[index] if hasattr(dataset, 'indices') else index
        return _image_path(dataset.dataset, int(inner))
    return None


def _listed(report: dict[str, str], most: int = 5) -> str:
    shown = ', '.join(f'{path!r} ({reason})' for path, reason in [*report.items()][:most])
    return shown + (f' and {len(report) - most} more' if len(report) > most else '')
