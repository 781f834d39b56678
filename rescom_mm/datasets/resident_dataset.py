from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .seeded_dataset import SeededDataset

_LOOKED_AT = 64  # images that are read twice


class ResidentDataset(SeededDataset):
    """A dataset that is read once and then gives, for each sample, its index and its labels.

    The images are for ``SiameseDataPreprocessor``, which holds them on the device. A batch costs
    as good as nothing here; the samples are the same objects in each epoch.

    Args:
        dataset: its pipeline gives one view, without chance: ``PackInputs`` alone, say.

    Attributes:
        images: uint8 ``[N, C, H, W]``.
        samples: N data samples.

    Raises:
        ValueError: for any other pipeline, or images of several sizes.
    """

    _OWN = ('dataset', 'images', 'samples')
    images: Tensor
    samples: list[Any]

    def __init__(self, dataset: Any) -> None:
        super().__init__(dataset)
        items = [dataset[index] for index in range(len(dataset))]
        images = [item['inputs'] for item in items]
        if not all(isinstance(image, Tensor) and image.dtype == torch.uint8
                   and image.shape == images[0].shape for image in images):
            raise ValueError(
                'ResidentDataHook: train_dataloader.dataset must give one uint8 image of the same '
                "size a sample; make dict(type='PackInputs') the last step of its pipeline, and "
                'leave the views to data_preprocessor.augment')
        if not all(torch.equal(dataset[index]['inputs'], image)
                   for index, image in enumerate(images[:_LOOKED_AT])):
            raise ValueError(
                'ResidentDataHook: the pipeline of train_dataloader.dataset gives another image '
                'each time, and would be run once; leave random transforms to '
                'data_preprocessor.augment')
        self.images = torch.stack(images)
        self.samples = [item['data_samples'] for item in items]

    def __getitem__(self, key: int) -> dict[str, Any]:
        return dict(inputs=int(key), data_samples=self.samples[key])
