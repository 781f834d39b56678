from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmpretrain.datasets.transforms.auto_augment import BaseAugTransform
from mmpretrain.registry import TRANSFORMS

from ...utils import check_options
from . import pixel_ops, warps
from .randomness import Draws, uniform

_PLAIN = {'autocontrast': pixel_ops.auto_contrast, 'equalize': pixel_ops.equalize,
          'invert': pixel_ops.invert}
_OF_AN_INTEGER = {'posterize': pixel_ops.posterize, 'solarize': pixel_ops.solarize,
                  'solarize_add': pixel_ops.solarize_add}
_OF_A_FACTOR = {'color': pixel_ops.color_, 'contrast': pixel_ops.contrast_,
                'brightness': pixel_ops.brightness_, 'sharpness': pixel_ops.sharpness_}
_NAMES = (*warps.NAMES, *_OF_A_FACTOR, *_OF_AN_INTEGER, *_PLAIN)


@TRANSFORMS.register_module()
@check_options
class PillowOp(BaseAugTransform):
    """An augmentation op that gives Pillow's pixels, bit for bit.

    For mmpretrain's ``AutoAugment`` and ``RandAugment``, or alone in a pipeline. (mmpretrain's own
    are other ones: OpenCV takes another place for the centre of a pixel, another cubic and soft
    borders; greys and means are rounded otherwise; sharpness treats the border otherwise; drawn
    numbers of bits are rounded up and drawn thresholds not at all.) Most are done without Pillow,
    which takes longer.

    Args:
        op: with what its magnitude ``m`` stands for

            - ``'shear_x'``, ``'shear_y'``: pixels of shift a pixel;
            - ``'translate_x'``, ``'translate_y'``: fraction of the width or height, positive
              towards the left or the top;
            - ``'rotate'``: degrees anticlockwise;
            - ``'color'``, ``'contrast'``, ``'brightness'``, ``'sharpness'``: enhancement by a
              factor of 1 + m, at m = -1 grey, flat, black and smoothed;
            - ``'posterize'``: int(m) bits are kept, 0 ... 8;
            - ``'solarize'``: values from int(m) on are inverted, 256: none;
            - ``'solarize_add'``: int(m) is added to values below 128;
            - ``'autocontrast'``, ``'equalize'``, ``'invert'`` have none.
        channel_order: of the images: ``'bgr'`` as mmcv loads files, or ``'rgb'``.
        magnitude: m; this or ``magnitude_range``.
        fill: R, G, B of what comes in from outside, 0 ... 255, whatever the channel order.
        interpolation: ``'nearest'``, ``'bilinear'`` or ``'bicubic'``, or several, to draw one
            each time.
        prob: of applying the op.
        random_negative_prob: of turning m to -m, where m may have a sign.
        kwargs: ``magnitude_range``, ``magnitude_level``, ``magnitude_std``, ``total_level`` of
            mmpretrain's ``BaseAugTransform``, which ``RandAugment`` sets.
    """

    def __init__(self, op: str, channel_order: str, magnitude: float | None = None,
                 fill: Sequence[int] = (128, 128, 128),
                 interpolation: str | Sequence[str] = 'nearest', prob: float = 0.5,
                 random_negative_prob: float = 0., **kwargs: Any) -> None:
        super().__init__(prob=prob, random_negative_prob=random_negative_prob, **kwargs)
        if op not in _NAMES:
            raise ValueError(f'PillowOp: op must be one of {", ".join(_NAMES)}, got {op!r}')
        if channel_order not in ('bgr', 'rgb'):
            raise ValueError(f"PillowOp: channel_order must be 'bgr' or 'rgb', got "
                             f'{channel_order!r}')
        if op in _PLAIN:
            if magnitude is not None or self.magnitude_range is not None:
                raise ValueError(f'PillowOp: {op!r} has no magnitude; remove magnitude and '
                                 'magnitude_range')
        elif (magnitude is None) == (self.magnitude_range is None):
            raise ValueError(f'PillowOp: give {op!r} either magnitude or magnitude_range, got '
                             f'magnitude={magnitude}, magnitude_range={self.magnitude_range}')
        names = (interpolation,) if isinstance(interpolation, str) else tuple(interpolation)
        if not names or not set(names) <= set(warps.INTERPOLATIONS):
            raise ValueError('PillowOp: interpolation must be of '
                             f'{", ".join(warps.INTERPOLATIONS)}, '
                             f'got {interpolation!r}')
        self.op = op
        self.channel_order = channel_order
        self.magnitude = magnitude
        self.fill = tuple(fill)
        self.interpolations = names

    @Draws
    def random_disable(self) -> bool:
        """Whether the op is left out this time."""
        return np.random.rand() > self.prob

    @Draws
    def random_magnitude(self) -> float:
        """A level, and the magnitude that it stands for: as the base draws it, in less time."""
        level = self.magnitude_level
        if self.magnitude_std == 'inf':
            level = uniform(0, level)
        elif self.magnitude_std > 0:
            level = min(max(np.random.normal(level, self.magnitude_std), 0), self.total_level)
        low, high = self.magnitude_range
        return level / self.total_level * (high - low) + low

    @Draws
    def random_negative(self, value: float) -> float:
        """The value or, with ``random_negative_prob``, its negative."""
        return -value if np.random.rand() < self.random_negative_prob else value

    @Draws
    def random_interpolation(self) -> str:
        """One of the interpolations."""
        if len(self.interpolations) == 1:
            return self.interpolations[0]
        return self.interpolations[np.random.randint(len(self.interpolations))]

    def transform(self, results: dict) -> dict:
        """Applies the op to ``results['img']``, uint8 ``[H, W, 3]``, with probability ``prob``."""
        image = results['img']
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise TypeError(f'PillowOp: {self.op!r} needs uint8 images [H, W, 3], got '
                            f'{image.dtype} {list(image.shape)}; put it before what changes the '
                            "type, and load images with color_type='color'")
        if not self.random_disable():
            results['img'] = self._apply(np.ascontiguousarray(image))
        return results

    def _apply(self, image: np.ndarray) -> np.ndarray:
        op = self.op
        if op in _PLAIN:
            return _PLAIN[op](image)
        m = self.random_magnitude() if self.magnitude is None else self.magnitude
        if op in _OF_AN_INTEGER:
            return _OF_AN_INTEGER[op](image, int(m))
        m = self.random_negative(m)
        bgr = self.channel_order == 'bgr'
        if op in _OF_A_FACTOR:
            values = image.astype(np.float32)
            _OF_A_FACTOR[op](values, 1 + m, bgr)
            return values.astype(np.uint8)
        fill = self.fill[::-1] if bgr else self.fill
        return warps.warp(op, image, m, self.random_interpolation(), fill)

    def __repr__(self) -> str:
        return (f'{type(self).__name__}(op={self.op!r}, channel_order={self.channel_order!r}, '
                f'magnitude={self.magnitude}, fill={self.fill}, '
                f'interpolation={self.interpolations}, prob={self.prob}, '
                f'random_negative_prob={self.random_negative_prob}{self.extra_repr()})')
