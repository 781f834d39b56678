"""The two augmentation policies of the recipes, as policies of mmpretrain's transforms."""

from __future__ import annotations

import math
from typing import Any

from mmpretrain.datasets.transforms import AutoAugment, RandAugment
from mmpretrain.registry import TRANSFORMS

from ...utils import check_options
from .randomness import Draws, random_integer

# (op, probability, level 0 ... 9), twice, as published
_CIFAR10 = [
    (('Invert', 0.1, 7), ('Contrast', 0.2, 6)),
    (('Rotate', 0.7, 2), ('TranslateX', 0.3, 9)),
    (('Sharpness', 0.8, 1), ('Sharpness', 0.9, 3)),
    (('ShearY', 0.5, 8), ('TranslateY', 0.7, 9)),
    (('AutoContrast', 0.5, 8), ('Equalize', 0.9, 2)),
    (('ShearY', 0.2, 7), ('Posterize', 0.3, 7)),
    (('Color', 0.4, 3), ('Brightness', 0.6, 7)),
    (('Sharpness', 0.3, 9), ('Brightness', 0.7, 9)),
    (('Equalize', 0.6, 5), ('Equalize', 0.5, 1)),
    (('Contrast', 0.6, 7), ('Sharpness', 0.6, 5)),
    (('Color', 0.7, 7), ('TranslateX', 0.5, 8)),
    (('Equalize', 0.3, 7), ('AutoContrast', 0.4, 8)),
    (('TranslateY', 0.4, 3), ('Sharpness', 0.2, 6)),
    (('Brightness', 0.9, 6), ('Color', 0.2, 8)),
    (('Solarize', 0.5, 2), ('Invert', 0.0, 3)),
    (('Equalize', 0.2, 0), ('AutoContrast', 0.6, 0)),
    (('Equalize', 0.2, 8), ('Equalize', 0.6, 4)),
    (('Color', 0.9, 9), ('Equalize', 0.6, 6)),
    (('AutoContrast', 0.8, 4), ('Solarize', 0.2, 8)),
    (('Brightness', 0.1, 3), ('Color', 0.7, 0)),
    (('Solarize', 0.4, 5), ('AutoContrast', 0.9, 3)),
    (('TranslateY', 0.9, 9), ('TranslateY', 0.7, 9)),
    (('AutoContrast', 0.9, 2), ('Solarize', 0.8, 3)),
    (('Equalize', 0.8, 8), ('Invert', 0.1, 3)),
    (('TranslateY', 0.7, 9), ('AutoContrast', 0.9, 1)),
]


def _cifar10_op(name: str, prob: float, level: int, channel_order: str) -> dict[str, Any]:
    """Config of one op of the CIFAR-10 policy."""
    ours = dict(type='PillowOp', op=name.lower(), channel_order=channel_order, prob=prob)
    part = level / 9
    if name in ('Invert', 'AutoContrast', 'Equalize'):
        return ours
    if name == 'Posterize':
        return dict(ours, magnitude=round(8 - 4 * part))
    if name == 'Solarize':
        return dict(ours, magnitude=math.ceil(256 - 256 * part))  # from the first whole level on
    if name == 'Rotate':  # anticlockwise alone
        return dict(ours, magnitude=30 * part)
    ours['random_negative_prob'] = 0.5
    if name in ('TranslateX', 'TranslateY'):
        return dict(ours, op=f'translate_{name[-1].lower()}', magnitude=-150 / 331 * part)
    if name == 'ShearY':
        return dict(ours, op='shear_y', magnitude=0.3 * part, interpolation='bicubic')
    return dict(ours, magnitude=0.9 * part)


@TRANSFORMS.register_module()
@check_options
class AutoAugmentCIFAR10(AutoAugment):
    """AutoAugment's CIFAR-10 policy (Cubuk et al., 2019): one of 25 sub-policies a time.

    Its two ops are tried in order, each with its own probability. Levels 0 ... 9 stand for shear
    0 ... 0.3, translation by 0 ... 150/331 of the side, colour, contrast, sharpness and brightness
    1 +- 0 ... 0.9, 8 ... 4 bits, solarize threshold 256 ... 0, rotation 0 ... 30 degrees. Shears,
    translations and the factors have a random sign, rotations don't; grey 128 fills in.

    Args:
        channel_order: of the images: ``'bgr'`` as mmcv loads files, or ``'rgb'``.
    """

    def __init__(self, channel_order: str) -> None:
        super().__init__([[_cifar10_op(*op, channel_order) for op in pair] for pair in _CIFAR10])

    @Draws
    def random_pipeline_index(self) -> int:
        """Number of a sub-policy: as the base draws it, at a tenth of its time."""
        return random_integer(len(self.transforms))

    def transform(self, results: dict) -> dict:
        """Applies a sub-policy to ``results['img']``, uint8 ``[H, W, 3]``."""
        for op in self.transforms[self.random_pipeline_index()].transforms:
            results = op.transform(results)
        return results


@TRANSFORMS.register_module()
@check_options
class RandAugmentNonIncreasing(RandAugment):
    """RandAugment with timm's older level maps, in which some ops weaken as the level rises.

    ``num_policies`` of 15 ops are drawn with replacement; each is applied with probability
    ``prob`` at a level from N(magnitude_level, magnitude_std), clipped to 0 ... 10. At level m:
    rotation +-3m degrees; colour, contrast, brightness, sharpness 0.1 + 0.18m; shear +-0.03m;
    translation +-0.045m of the side; int(0.4m) bits; solarize from int(25.6m) on, which is nothing
    at 10; solarize-add int(11m) below 128. Warps are bilinear or bicubic at random, filled with
    ImageNet's mean. (mmpretrain's ``'timm_increasing'`` is the other policy.)

    Args:
        channel_order: of the images: ``'bgr'`` as mmcv loads files, or ``'rgb'``.
        num_policies: ops drawn for an image.
        magnitude_level: mean level, 0 ... 10.
        magnitude_std: of the level; 0: none.
        prob: of applying a drawn op.
    """

    def __init__(self, channel_order: str, num_policies: int = 2, magnitude_level: float = 10,
                 magnitude_std: float = 0.5, prob: float = 0.5) -> None:
        ours = dict(type='PillowOp', channel_order=channel_order, prob=prob)
        warp = dict(ours, fill=(124, 116, 104), interpolation=('bilinear', 'bicubic'),
                    random_negative_prob=0.5)
        factor = dict(magnitude_range=(-0.9, 0.9), random_negative_prob=0.)  # 0.1 ... 1.9
        super().__init__([
            dict(ours, op='autocontrast'),
            dict(ours, op='equalize'),
            dict(ours, op='invert'),
            dict(warp, op='rotate', magnitude_range=(0, 30)),
            dict(ours, op='posterize', magnitude_range=(0, 4)),
            dict(ours, op='solarize', magnitude_range=(0, 256)),
            dict(ours, op='solarize_add', magnitude_range=(0, 110)),
            dict(ours, op='color', **factor),
            dict(ours, op='contrast', **factor),
            dict(ours, op='brightness', **factor),
            dict(ours, op='sharpness', **factor),
            dict(warp, op='shear_x', magnitude_range=(0, 0.3)),
            dict(warp, op='shear_y', magnitude_range=(0, 0.3)),
            dict(warp, op='translate_x', magnitude_range=(0, 0.45)),
            dict(warp, op='translate_y', magnitude_range=(0, 0.45)),
        ], num_policies, magnitude_level, magnitude_std)

    @Draws
    def random_policy_indices(self) -> list[int]:
        """Numbers of the ops to try, in this order: as the base draws them, in less time."""
        return [random_integer(len(self.transforms)) for _ in range(self.num_policies)]

    def transform(self, results: dict) -> dict:
        """Applies the drawn ops to ``results['img']``, uint8 ``[H, W, 3]``."""
        for index in self.random_policy_indices():
            results = self.transforms[index].transform(results)
        return results
