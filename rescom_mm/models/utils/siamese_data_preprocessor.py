from __future__ import annotations

from typing import Any

import torch
from mmpretrain.models.utils.data_preprocessor import ClsDataPreprocessor
from mmpretrain.registry import MODELS
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

    Args:
        mean: of the channels, 0 ... 255; None for no normalisation.
        std: of the channels.
        pad_size_divisor: pads images at the right and the bottom to a multiple of it.
        pad_value: what is padded with.
        to_rgb: whether to turn BGR images into RGB.
        to_onehot: whether to make one-hot scores too.
        num_classes: of the one-hot scores.
        batch_augments: None; what mixes labels (mixup, CutMix) has no meaning for two views.
    """

    to_rgb: bool
    _enable_normalize: bool

    def __init__(self, mean: Any = None, std: Any = None, pad_size_divisor: int = 1,
                 pad_value: float = 0, to_rgb: bool = False, to_onehot: bool = False,
                 num_classes: int | None = None, batch_augments: dict | None = None) -> None:
        if batch_augments:
            raise self._no_mixing(batch_augments)
        super().__init__(mean, std, pad_size_divisor, pad_value, to_rgb, to_onehot, num_classes)

    def forward(self, data: dict, training: bool = False) -> dict:
        """Normalises a batch; see the class."""
        inputs = data['inputs']
        if _is_two_views(inputs):
            if self.batch_augments is not None:  # SwitchRecipeHook can set it on the way
                raise self._no_mixing(self.batch_augments)
            if isinstance(inputs[0], Tensor):  # default_collate: a batch a view
                inputs = torch.cat([self.cast_data(view_BCHW) for view_BCHW in inputs])
            else:  # pseudo_collate: a list a view
                inputs = self.cast_data(torch.cat([torch.stack(view_CHW) for view_CHW in inputs]))
            return self._finish({**data, 'inputs': self._normalise(inputs)}, training)
        return super().forward(data, training)

    def _normalise(self, inputs: Tensor) -> Tensor:
        """The numbers of the base class, with one float batch in memory instead of three."""
        if self.to_rgb and inputs.size(1) == 3:
            inputs = inputs.flip(1)
        normalised = inputs.to(torch.float32, copy=True)
        if self._enable_normalize:
            normalised.sub_(self.mean).div_(self.std)
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
        raise ValueError(f'{len(inputs)} views a sample: a SiameseClassifier needs two; set '
                         'num_views=2 in MultiView of train_dataloader.dataset.pipeline')
    return True
