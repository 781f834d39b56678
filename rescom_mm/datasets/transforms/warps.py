"""Pillow's affine warps of an image, bit for bit, on arrays.

Images are uint8 ``[H, W, 3]``; results are new arrays; what comes in from outside is ``fill``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import cv2
import numpy as np
from PIL import Image

INTERPOLATIONS = {'nearest': Image.Resampling.NEAREST, 'bilinear': Image.Resampling.BILINEAR,
                  'bicubic': Image.Resampling.BICUBIC}
# side up to which the pixels that a warp takes are kept
_SMALL = 64
_Warp = Callable[[Image.Image, float, Image.Resampling, tuple], Image.Image]


def _affine(image: Image.Image, matrix: tuple, resample: Image.Resampling, fill: object
            ) -> Image.Image:
    return image.transform(image.size, Image.Transform.AFFINE, matrix, resample, fillcolor=fill)


_WARPS: dict[str, _Warp] = {
    'shear_x': lambda image, m, *how: _affine(image, (1, m, 0, 0, 1, 0), *how),
    'shear_y': lambda image, m, *how: _affine(image, (1, 0, 0, m, 1, 0), *how),
    'translate_x': lambda image, m, *how: _affine(image, (1, 0, m * image.width, 0, 1, 0), *how),
    'translate_y': lambda image, m, *how: _affine(image, (1, 0, 0, 0, 1, m * image.height), *how),
    'rotate': lambda image, m, resample, fill: image.rotate(m, resample, fillcolor=fill),
}
NAMES = tuple(_WARPS)


def warp(op: str, image: np.ndarray, m: float, interpolation: str, fill: tuple) -> np.ndarray:
    """Warps an image.

    Args:
        op: of ``NAMES``.
        image: to warp.
        m: magnitude, see ``PillowOp``.
        interpolation: of ``INTERPOLATIONS``.
        fill: three values in the order of the image's channels.
    """
    resample = INTERPOLATIONS[interpolation]
    if interpolation == 'nearest' and max(image.shape) <= _SMALL:
        sources = _sources(op, m, *image.shape[:2])
        pixels = np.empty((sources.size + 1, 3), np.uint8)
        pixels[:-1], pixels[-1] = image.reshape(-1, 3), fill
        return pixels.take(sources, axis=0)
    if interpolation == 'nearest' or op == 'rotate':
        return np.array(_WARPS[op](Image.fromarray(image), m, resample, fill))
    return _along_axis(op, image, m, interpolation == 'bicubic', fill)


@lru_cache(256)
def _sources(op: str, m: float, height: int, width: int) -> np.ndarray:
    """Flat index of the pixel that each one is taken from, ``H * W`` for the filling."""
    outside = height * width
    index = Image.fromarray(np.arange(outside, dtype=np.int32).reshape(height, width))
    return np.array(_WARPS[op](index, m, Image.Resampling.NEAREST, outside))


def _along_axis(op: str, image: np.ndarray, m: float, cubic: bool, fill: tuple) -> np.ndarray:
    """A shear or translation: interpolates along rows or columns only, in Pillow's float64."""
    H, W = image.shape[:2]
    rows, columns = np.arange(H)[:, None], np.arange(W)
    shear, horizontal = op.startswith('shear'), op.endswith('x')
    if horizontal:
        across, along, length, stride = rows, columns, W, 1
    else:
        across, along, length, stride = columns, rows, H, W
    where_HW = (along + 0.5) + (m * (across + 0.5) if shear else np.zeros(across.shape))
    if not shear:
        where_HW += m * length
    outside_HW = (where_HW < 0) | (where_HW >= length)
    where_HW -= 0.5
    first_HW = np.floor(where_HW)
    part_HW = where_HW - first_HW
    first_HW = first_HW.astype(np.int32)
    start_HW = across * (W if horizontal else 1)
    pixels = cv2.cvtColor(image, cv2.COLOR_BGR2BGRA).view(np.int32).ravel()
    taps = []
    for offset in range(-1, 3) if cubic else range(2):
        tap_HW = pixels.take((first_HW + offset).clip(0, length - 1) * stride + start_HW)
        taps.append(cv2.cvtColor(tap_HW.view(np.uint8).reshape(H, W, 4), cv2.COLOR_BGRA2BGR))
    out = _interpolate(taps, cv2.merge((part_HW, part_HW, part_HW)))
    out[outside_HW] = fill
    return out


def _interpolate(taps: Sequence[np.ndarray], part: np.ndarray) -> np.ndarray:
    """Between 2 or 4 neighbours, in Pillow's order of float64 operations, cut to integers."""
    if len(taps) == 2:
        a, b = taps
        values = np.subtract(b, a, dtype=np.int16) * part
        values += a
        return values.astype(np.uint8)
    a, b, c, d = taps
    ab, cd = np.subtract(a, b, dtype=np.int16), np.subtract(c, d, dtype=np.int16)
    values = -(ab + cd) * part
    values += 2 * ab + cd
    values *= part
    values += np.subtract(c, a, dtype=np.int16)
    values *= part
    values += b
    return values.clip(0, 255, out=values).astype(np.uint8)
