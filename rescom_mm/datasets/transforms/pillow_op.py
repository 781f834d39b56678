from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from mmcv.transforms.utils import cache_randomness
from mmpretrain.datasets.transforms.auto_augment import BaseAugTransform
from mmpretrain.registry import TRANSFORMS
from PIL import Image, ImageEnhance, ImageOps

from ...utils import check_options

_INTERPOLATIONS = {'nearest': Image.Resampling.NEAREST, 'bilinear': Image.Resampling.BILINEAR,
                   'bicubic': Image.Resampling.BICUBIC}
_Op = Callable[[Image.Image, float, Image.Resampling, tuple], Image.Image]


def _affine(image: Image.Image, matrix: tuple, resample: Image.Resampling, fill: tuple
            ) -> Image.Image:
    return image.transform(image.size, Image.Transform.AFFINE, matrix, resample, fillcolor=fill)


def _posterize(image: Image.Image, m: float, resample: Image.Resampling, fill: tuple
               ) -> Image.Image:
    # newer Pillows refuse 0 bits, which are black
    return ImageOps.posterize(image, int(m)) if m >= 1 else Image.new('RGB', image.size)


def _enhance(enhancer: Any) -> _Op:
    return lambda image, m, resample, fill: enhancer(image).enhance(1 + m)


_OPS: dict[str, _Op] = {
    'shear_x': lambda image, m, *how: _affine(image, (1, m, 0, 0, 1, 0), *how),
    'shear_y': lambda image, m, *how: _affine(image, (1, 0, 0, m, 1, 0), *how),
    'translate_x': lambda image, m, *how: _affine(image, (1, 0, m * image.width, 0, 1, 0), *how),
    'translate_y': lambda image, m, *how: _affine(image, (1, 0, 0, 0, 1, m * image.height), *how),
    'rotate': lambda image, m, resample, fill: image.rotate(m, resample, fillcolor=fill),
    'color': _enhance(ImageEnhance.Color),
    'contrast': _enhance(ImageEnhance.Contrast),
    'sharpness': _enhance(ImageEnhance.Sharpness),
    'posterize': _posterize,
    'solarize': lambda image, m, *how: ImageOps.solarize(image, int(m)),
}


@TRANSFORMS.register_module()
@check_options
class PillowOp(BaseAugTransform):
    """An augmentation op as Pillow does it, for those that mmpretrain's do otherwise.

    For mmpretrain's ``AutoAugment`` and ``RandAugment``, or alone in a pipeline. mmpretrain's
    ``AutoContrast``, ``Equalize``, ``Invert``, ``Brightness``, ``SolarizeAdd``, and ``Translate``
    with the nearest pixel, give Pillow's pixels; so do ``Posterize`` and ``Solarize`` at a fixed
    level. What is here differs: OpenCV takes another place for the centre of a pixel, another
    cubic and soft borders; greys and means are rounded otherwise; sharpness treats the border
    otherwise; drawn numbers of bits are rounded up and drawn thresholds not at all.

    Args:
        op: with what its magnitude ``m`` stands for

            - ``'shear_x'``, ``'shear_y'``: pixels of shift a pixel;
            - ``'translate_x'``, ``'translate_y'``: fraction of the width or height, positive
              towards the left or the top;
            - ``'rotate'``: degrees anticlockwise;
            - ``'color'``, ``'contrast'``, ``'sharpness'``: enhancement by a factor of 1 + m, at
              m = -1 grey, flat and smoothed;
            - ``'posterize'``: int(m) bits are kept, 0 ... 8;
            - ``'solarize'``: values from int(m) on are inverted, 256: none.
        channel_order: of the images: ``'bgr'`` as mmcv loads files, or ``'rgb'``.
        magnitude: m; this or ``magnitude_range``.
        fill: R, G, B of what comes in from outside, 0 ... 255, whatever the channel order.
        interpolation: ``'nearest'``, ``'bilinear'`` or ``'bicubic'``, or several, to draw one
            each time.
        prob: of applying the op.
        random_negative_prob: of turning m to -m.
        kwargs: ``magnitude_range``, ``magnitude_level``, ``magnitude_std``, ``total_level`` of
            mmpretrain's ``BaseAugTransform``, which ``RandAugment`` sets.
    """

    def __init__(self, op: str, channel_order: str, magnitude: float | None = None,
                 fill: Sequence[int] = (128, 128, 128),
                 interpolation: str | Sequence[str] = 'nearest', prob: float = 0.5,
                 random_negative_prob: float = 0., **kwargs: Any) -> None:
        super().__init__(prob=prob, random_negative_prob=random_negative_prob, **kwargs)
        if op not in _OPS:
            raise ValueError(f'PillowOp: op must be one of {", ".join(_OPS)}, got {op!r}')
        if channel_order not in ('bgr', 'rgb'):
            raise ValueError(f"PillowOp: channel_order must be 'bgr' or 'rgb', got "
                             f'{channel_order!r}')
        if (magnitude is None) == (self.magnitude_range is None):
            raise ValueError(f'PillowOp: give {op!r} either magnitude or magnitude_range, got '
                             f'magnitude={magnitude}, magnitude_range={self.magnitude_range}')
        names = (interpolation,) if isinstance(interpolation, str) else tuple(interpolation)
        if not names or not set(names) <= set(_INTERPOLATIONS):
            raise ValueError(f'PillowOp: interpolation must be of {", ".join(_INTERPOLATIONS)}, '
                             f'got {interpolation!r}')
        self.op = op
        self.channel_order = channel_order
        self.magnitude = magnitude
        self.fill = tuple(fill)
        self.interpolations = names

    @cache_randomness
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
        if self.random_disable():
            return results
        magnitude = self.random_magnitude() if self.magnitude is None else self.magnitude
        magnitude = self.random_negative(magnitude)
        resample = _INTERPOLATIONS[self.random_interpolation()]
        if self.channel_order == 'bgr':
            image = image[..., ::-1]
        image = np.array(_OPS[self.op](Image.fromarray(image), magnitude, resample, self.fill))
        if self.channel_order == 'bgr':
            image = np.ascontiguousarray(image[..., ::-1])
        results['img'] = image
        return results

    def __repr__(self) -> str:
        return (f'{type(self).__name__}(op={self.op!r}, channel_order={self.channel_order!r}, '
                f'magnitude={self.magnitude}, fill={self.fill}, '
                f'interpolation={self.interpolations}, prob={self.prob}, '
                f'random_negative_prob={self.random_negative_prob}{self.extra_repr()})')
