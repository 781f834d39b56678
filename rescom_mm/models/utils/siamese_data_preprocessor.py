from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from mmpretrain.models.utils.data_preprocessor import ClsDataPreprocessor
from mmpretrain.registry import BATCH_AUGMENTS, MODELS
from mmpretrain.structures import DataSample
from torch import Tensor

from ...utils import check_options


@MODELS.register_module()
@check_options
class SiameseDataPreprocessor(ClsDataPreprocessor):
    """Turns two uint8 views a sample into one normalised batch, on the device.

    Takes what ``TwoViews`` (or ``MultiView`` of two) and ``PackInputs`` give, with
    ``default_collate`` or ``pseudo_collate``, and gives ``inputs`` of ``[2B, 3, H, W]`` float32,
    all of view 1 first; ``data_samples`` stay B. A single-view batch passes through as with
    mmpretrain's own ``ClsDataPreprocessor``, whose options these are.

    With ``augment`` it makes the views itself, on the device, of what ``PackInputs`` alone gives;
    evaluation batches pass through. ``ResidentDataHook`` has it hold the whole training set:
    batches then bring indices in the place of images.

    Args:
        mean: of the channels, 0 ... 255; None for no normalisation.
        std: of the channels.
        pad_size_divisor: pads images at the right and the bottom to a multiple of it.
        pad_value: what is padded with.
        to_rgb: whether to turn BGR images into RGB.
        to_onehot: whether to make one-hot scores too.
        num_classes: of the one-hot scores.
        batch_augments: None; what mixes labels (mixup, CutMix) has no meaning for two views.
        channels_last: whether ``inputs`` lie in memory as ``[2B, H, W, 3]``, the shape being as
            said. Convolutions hand that on, and are faster so on CPUs and in bfloat16 on GPUs.
        augment: what makes views of a batch of uint8 images, for instance
            ``dict(type='CIFARAugment')``; None: the pipeline did.
    """

    _images: Tensor | None = None
    to_rgb: bool
    _enable_normalize: bool

    def __init__(self, mean: Any = None, std: Any = None, pad_size_divisor: int = 1,
                 pad_value: float = 0, to_rgb: bool = False, to_onehot: bool = False,
                 num_classes: int | None = None, batch_augments: dict | None = None,
                 channels_last: bool = False,
                 augment: dict | Callable[[Tensor], Tensor] | None = None) -> None:
        if batch_augments:
            raise self._no_mixing(batch_augments)
        super().__init__(mean, std, pad_size_divisor, pad_value, to_rgb, to_onehot, num_classes)
        self.channels_last = channels_last
        self.augment = BATCH_AUGMENTS.build(augment) if isinstance(augment, dict) else augment

    def forward(self, data: dict, training: bool = False) -> dict:
        """Normalises a batch; see the class."""
        inputs = data['inputs']
        two_views = _is_two_views(inputs)
        making = training and self.augment is not None
        if two_views and making:
            raise ValueError('data_preprocessor.augment makes the views of a batch, and so does '
                             'train_dataloader.dataset.pipeline; remove TwoViews (or MultiView), '
                             'or augment')
        if (two_views or making) and self.batch_augments is not None:
            raise self._no_mixing(self.batch_augments)  # SwitchRecipeHook can set it on the way
        held = isinstance(inputs, Tensor) and inputs.ndim == 1
        if held:
            inputs = self._held(inputs)
        elif two_views:  # of default_collate, or of pseudo_collate: a batch or a list a view
            inputs = [self.cast_data(view if isinstance(view, Tensor) else torch.stack(view))
                      for view in inputs]
        elif making:
            inputs = self.cast_data(inputs if isinstance(inputs, Tensor) else torch.stack(inputs))
        if making and self.augment is not None:
            inputs = [self.augment(inputs)]
        samples = {} if held else {'data_samples': data.get('data_samples')}
        if two_views or making:
            out = self._finish({'inputs': self._normalise(inputs), **samples}, training)
        else:
            out = super().forward({'inputs': inputs, **samples}, training)
        if held:  # their labels are on the device already
            out['data_samples'] = data['data_samples']
        if self.channels_last:
            out['inputs'] = out['inputs'].contiguous(memory_format=torch.channels_last)
        return out

    def hold(self, images_NCHW: Tensor, samples: list[DataSample]) -> None:
        """Takes a data set to the device, for batches of indices; no checkpoint contains it.

        Args:
            images_NCHW: uint8.
            samples: theirs; the labels are moved to the device too, in place.
        """
        self._images = images_NCHW.to(self.device)
        super().forward({'inputs': images_NCHW[:1], 'data_samples': samples})

    def _held(self, index_B: Tensor) -> Tensor:
        if self._images is None:
            raise RuntimeError('a batch holds indices, and SiameseDataPreprocessor no images; '
                               'images come with default_hooks = '
                               "dict(resident_data=dict(type='ResidentDataHook'))")
        if self._images.is_cuda:  # from pinned memory the host need not wait
            index_B = index_B.pin_memory()
        return self._images[index_B.to(self._images.device, non_blocking=True)]

    def _normalise(self, views: Sequence[Tensor]) -> Tensor:
        """The numbers of the base class for all views, with one float batch in memory."""
        sizes = [len(view_BCHW) for view_BCHW in views]
        normalised = views[0].new_empty((sum(sizes), *views[0].shape[1:]), dtype=torch.float32)
        for view, part in zip(views, normalised.split(sizes)):
            if self.to_rgb and view.size(1) == 3:
                for channel in range(3):
                    part[:, 2 - channel] = view[:, channel]
            else:
                part.copy_(view)
            if self._enable_normalize:
                part.sub_(self.mean).div_(self.std)
        return normalised

    def _finish(self, data: dict, training: bool) -> dict:
        """The base class's steps after the normalisation: padding, one-hot scores."""
        to_rgb, normalize = self.to_rgb, self._enable_normalize
        self.to_rgb = self._enable_normalize = False
        try:
            return super().forward(data, training)
        finally:
            self.to_rgb, self._enable_normalize = to_rgb, normalize

    @staticmethod
    def _no_mixing(augments: Any) -> ValueError:
        return ValueError(
            f'model.train_cfg or data_preprocessor.batch_augments is {augments!r}: mixing '
            'augmentations (mixup, CutMix) soften labels, which supervised contrastive views '
            'cannot have; remove it, or train an ImageClassifier')


def _is_two_views(inputs: Any) -> bool:
    """Whether a collated batch holds a sequence of views, and not one image a sample.

    Raises:
        ValueError: for another number of views than two.
    """
    if isinstance(inputs, Tensor) or not len(inputs):
        return False
    first = inputs[0]
    if isinstance(first, Tensor) and first.ndim == 3:  # pseudo_collate of single views
        return False
    if len(inputs) != 2:
        raise ValueError(f'{len(inputs)} views a sample: a SiameseClassifier needs two; put '
                         "dict(type='TwoViews', transforms=[...]) in the place of MultiView in "
                         'train_dataloader.dataset.pipeline')
    return True
