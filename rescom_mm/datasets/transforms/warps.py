"""Pillow's affine warps of an image, bit for bit, on arrays.

Images are uint8 ``[H, W, 3]``; results are new arrays; what comes in from outside is ``fill``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from PIL import Image

INTERPOLATIONS = {'nearest': Image.Resampling.NEAREST, 'bilinear': Image.Resampling.BILINEAR,
                  'bicubic': Image.Resampling.BICUBIC}
# side up to which the pixels that a warp takes are kept
_SMALL = 64
_Warp = Callable[[Image.Image, float, Image.Resampling, Any], Image.Image]


def _affine(image: Image.Image, matrix: tuple, resample: Image.Resampling, fill: Any
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
    warped = None
    if interpolation != 'nearest' and op != 'rotate':
        warped = _along_axis(op, image, m, interpolation == 'bicubic', fill)
    if warped is None:
        warped = np.array(_WARPS[op](Image.fromarray(image), m, resample, fill))
    return warped


@lru_cache(256)
def _sources(op: str, m: float, height: int, width: int) -> np.ndarray:
    """Flat index of the pixel that each one is taken from, ``H * W`` for the filling."""
    outside = height * width
    index = Image.fromarray(np.arange(outside, dtype=np.int32).reshape(height, width))
    return np.array(_WARPS[op](index, m, Image.Resampling.NEAREST, outside))


def _along_axis(op: str, image: np.ndarray, m: float, cubic: bool, fill: tuple
                ) -> np.ndarray | None:
    """A shear or translation: interpolates along rows or columns only, in Pillow's float64.

    None where rounding errors make it leave out a pixel, or take one twice, and where nothing of
    the image is left.
    """
    vertical = op.endswith('y')
    if vertical:
        image = cv2.transpose(image)
    H, W = image.shape[:2]
    geometry = _small_geometry if max(H, W) <= _SMALL else _geometry
    found = geometry(op.startswith('shear'), m, cubic, H, W)
    if found is None:
        return None
    columns, outside_HI, taken, part = found
    pixels = cv2.cvtColor(image, cv2.COLOR_BGR2BGRA).view(np.int32).ravel().take(taken)
    line = cv2.cvtColor(pixels.view(np.uint8).reshape(*taken.shape, 4), cv2.COLOR_BGRA2BGR)
    width = part.shape[1]
    taps = [line[:, offset:offset + width] for offset in range(line.shape[1] - width + 1)]
    inner_HI = cv2.cvtColor(_interpolate(taps, part), cv2.COLOR_BGR2BGRA).view(np.int32)[..., 0]
    filling = np.array([*fill, 255], np.uint8).view(np.int32)
    inner_HI[outside_HI] = filling
    out_HW = np.full((H, W), filling)
    out_HW[:, columns] = inner_HI
    out = cv2.cvtColor(out_HW[..., None].view(np.uint8), cv2.COLOR_BGRA2BGR)
    return cv2.transpose(out) if vertical else out


def _geometry(shear: bool, m: float, cubic: bool, H: int, W: int
              ) -> tuple[slice, np.ndarray, np.ndarray, np.ndarray] | None:
    """What a warp along rows takes, for any image of a size; None as in :func:`_along_axis`.

    Returns:
        The I columns of the result that need not be filled as a whole; which of their pixels are
        ``[H, I]``; flat indices of the pixels of each row that they come from, with those before
        and after that the interpolation needs; the part of the way from one to the next,
        ``[H or 1, I, 3]``.
    """
    rows_H1, columns_W = np.arange(H)[:, None] + 0.5, np.arange(W) + 0.5
    where_HW = columns_W + m * rows_H1 if shear else columns_W[None] + m * W  # all rows alike
    outside_HW = (where_HW < 0) | (where_HW >= W)
    inside = np.flatnonzero(~outside_HW.all(axis=0))
    if not inside.size:
        return None
    columns = slice(inside[0], inside[-1] + 1)
    where_HI = where_HW[:, columns] - 0.5
    floor_HI = np.floor(where_HI)
    where_HI -= floor_HI
    part = cv2.merge((where_HI, where_HI, where_HI))
    first_HI = floor_HI.astype(np.int32)
    width = first_HI.shape[1]
    before, after = (1, 2) if cubic else (0, 1)
    taken = first_HI[:, :1] + np.arange(-before, width + after, dtype=np.int32)
    if not np.array_equal(first_HI, taken[:, before:before + width]):
        return None
    taken.clip(0, W - 1, out=taken)
    taken = taken + np.arange(H, dtype=np.int32)[:, None] * W
    return columns, np.broadcast_to(outside_HW[:, columns], (H, width)), taken, part


_small_geometry = lru_cache(64)(_geometry)


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
