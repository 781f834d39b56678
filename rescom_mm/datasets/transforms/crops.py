from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from mmcv.transforms import BaseTransform
from mmpretrain.datasets.transforms import RandomResizedCrop
from mmpretrain.registry import TRANSFORMS

from ...utils import check_options
from .randomness import Draws, random_integer, uniform


@TRANSFORMS.register_module()
@check_options
class PaddedCropAndFlip(BaseTransform):
    """A random square crop of the image padded with black, flipped from left to right or not.

    As mmpretrain's ``RandomCrop`` with padding and ``RandomFlip`` do, which take several times as
    long on a small image.

    Args:
        crop_size: side of the crop, in pixels; at most that of the padded image.
        padding: pixels of black at each border.
        flip_prob: of flipping.
    """

    def __init__(self, crop_size: int, padding: int, flip_prob: float = 0.5) -> None:
        if crop_size < 1 or padding < 0 or not 0 <= flip_prob <= 1:
            raise ValueError('PaddedCropAndFlip: crop_size must be at least 1, padding at least 0 '
                             f'and flip_prob in 0 ... 1, got {crop_size}, {padding}, {flip_prob}')
        self.crop_size = crop_size
        self.padding = padding
        self.flip_prob = flip_prob

    @Draws
    def random_place(self, height: int, width: int) -> tuple[int, int, bool]:
        """Row and column in the padded image, and whether to flip."""
        slack = 2 * self.padding - self.crop_size + 1
        if min(height, width) + slack < 1:
            raise ValueError(f'PaddedCropAndFlip: the image of {height}x{width} pixels, padded by '
                             f'{self.padding}, is smaller than crop_size={self.crop_size}')
        y, x = random_integer(height + slack), random_integer(width + slack)
        return y, x, np.random.random_sample() < self.flip_prob

    def transform(self, results: dict) -> dict:
        """Crops ``results['img']``, ``[H, W]`` or ``[H, W, channels]``."""
        image, side = results['img'], self.crop_size
        height, width = image.shape[:2]
        y, x, flip = self.random_place(height, width)
        y, x = y - self.padding, x - self.padding
        top, left = max(y, 0), max(x, 0)
        # a crop may be smaller than the padding, and have nothing of the image
        bottom, right = max(min(y + side, height), top), max(min(x + side, width), left)
        crop = np.zeros((side, side, *image.shape[2:]), image.dtype)
        crop[top - y:bottom - y, left - x:right - x] = image[top:bottom, left:right]
        if flip:  # by OpenCV in a third of NumPy's time, where it is known to do so
            crop = (cv2.flip(crop, 1) if crop.dtype == np.uint8 and crop.shape[2:] == (3,)
                    else crop[:, ::-1].copy())
        results['img'] = crop
        results['img_shape'] = crop.shape
        return results

    def __repr__(self) -> str:
        return (f'{type(self).__name__}(crop_size={self.crop_size}, padding={self.padding}, '
                f'flip_prob={self.flip_prob})')


@TRANSFORMS.register_module()
@check_options
class ResizedCropAndFlip(RandomResizedCrop):
    """mmpretrain's ``RandomResizedCrop`` on Pillow and ``RandomFlip``, in a quarter of the time.

    Torch resizes, bilinear with antialiasing: within 2 grey levels of Pillow, as it rounds the
    weights to 16 bits.

    Args:
        scale: side of the result, or its height and width, in pixels.
        crop_ratio_range: area of the crop over the image's.
        aspect_ratio_range: width over height of the crop.
        max_attempts: to find a crop that fits, before the centre is taken.
        flip_prob: of flipping from left to right.
    """

    def __init__(self, scale: int | Sequence[int],
                 crop_ratio_range: Sequence[float] = (0.08, 1.0),
                 aspect_ratio_range: Sequence[float] = (3 / 4, 4 / 3),
                 max_attempts: int = 10, flip_prob: float = 0.5) -> None:
        if not 0 <= flip_prob <= 1:
            raise ValueError('ResizedCropAndFlip: flip_prob must lie in 0 ... 1, got '
                             f'{flip_prob}')
        super().__init__(scale, crop_ratio_range, aspect_ratio_range, max_attempts,
                         interpolation='bilinear', backend='pillow')
        self.flip_prob = flip_prob

    @Draws
    def rand_crop_params(self, img: np.ndarray) -> tuple[int, int, int, int]:
        """Top, left, height and width of the crop: as the base draws them, in less time."""
        H, W = img.shape[:2]
        narrowest, widest = self.aspect_ratio_range
        for _ in range(self.max_attempts):
            area = uniform(*self.crop_ratio_range) * H * W
            aspect = math.exp(uniform(math.log(narrowest), math.log(widest)))
            height, width = round(math.sqrt(area / aspect)), round(math.sqrt(area * aspect))
            if 0 < height <= H and 0 < width <= W:
                return (random_integer(H - height + 1), random_integer(W - width + 1), height,
                        width)
        height, width = min(H, round(W / narrowest)), min(W, round(H * widest))
        return (H - height) // 2, (W - width) // 2, height, width

    @Draws
    def random_flip(self) -> bool:
        """Whether to flip."""
        return np.random.random_sample() < self.flip_prob

    def transform(self, results: dict) -> dict:
        """Crops and resizes ``results['img']``, uint8 ``[H, W, channels]``."""
        y, x, height, width = self.rand_crop_params(results['img'])
        # [None] comes before the copy: without a stride of the first axis torch resizes by planes,
        # in twice the time
        crop_1HWC = results['img'][None, y:y + height, x:x + width].copy()
        crop_1CHW = torch.from_numpy(crop_1HWC.transpose(0, 3, 1, 2))
        resized_1CHW = F.interpolate(crop_1CHW, tuple(self.scale), mode='bilinear', antialias=True)
        image = np.ascontiguousarray(resized_1CHW.numpy()[0].transpose(1, 2, 0))
        if self.random_flip():
            image = cv2.flip(image, 1)
        results['img'] = image
        results['img_shape'] = image.shape
        return results

    def __repr__(self) -> str:
        return f'{super().__repr__()[:-1]}, flip_prob={self.flip_prob})'
