"""Pillow's ops on the colours of an image, bit for bit, on arrays with NumPy and OpenCV.

Images are uint8 ``[H, W, 3]``; results are new arrays. What is done in place takes ``values``,
whole numbers 0 ... 255 as float32 ``[H, W, 3]``, and leaves fractions, which Pillow cuts off: a
cast to uint8 does, or ``np.floor``. ``bgr`` is the channels' order.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

# Pillow's weights of R, G, B: 16-bit fixed point, which float32 holds and sums up exactly
_LUMA_RGB = np.array([[19595, 38470, 7471, 32768]], np.float32) / 65536
_LUMA_BGR = _LUMA_RGB[:, [2, 1, 0, 3]]
_SMOOTH = np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]], np.float32) / 13
_LEVELS = np.arange(256)


def color_(values: np.ndarray, factor: float, bgr: bool) -> None:
    """``ImageEnhance.Color``, in place: 0 is grey."""
    grey = cv2.cvtColor(_luma(values, bgr), cv2.COLOR_GRAY2BGR)
    if factor == 0:
        values[:] = grey
    else:
        _blend_(values, grey, factor)


def contrast_(values: np.ndarray, factor: float, bgr: bool) -> None:
    """``ImageEnhance.Contrast``, in place: 0 is the mean grey."""
    luma_HW = _luma(values, bgr)
    mean = int(cv2.sumElems(luma_HW)[0] / luma_HW.size + 0.5)
    _blend_(values, np.float32(mean), factor)


def brightness_(values: np.ndarray, factor: float, bgr: bool = False) -> None:
    """``ImageEnhance.Brightness``, in place: 0 is black."""
    values *= np.float32(factor)
    if factor > 1:
        cv2.threshold(values, 255, 255, cv2.THRESH_TRUNC, values)


def sharpness_(values: np.ndarray, factor: float, bgr: bool = False) -> None:
    """``ImageEnhance.Sharpness``, in place: 0 is smoothed."""
    smooth = values.copy()
    # no thirteenth lies halfway between two levels: rounding errors don't matter
    smooth[1:-1, 1:-1] = np.rint(cv2.filter2D(values, -1, _SMOOTH)[1:-1, 1:-1])
    _blend_(values, smooth, factor)


def _luma(values: np.ndarray, bgr: bool) -> np.ndarray:
    """Pillow's mode ``L``, ``[H, W]``."""
    luma_HW = cv2.transform(values, _LUMA_BGR if bgr else _LUMA_RGB)
    return np.floor(luma_HW, out=luma_HW)


def _blend_(values: np.ndarray, start: np.ndarray | np.float32, factor: float) -> None:
    """``Image.blend`` in its order of float32 operations; ``start`` is at factor 0."""
    values -= start
    values *= np.float32(factor)
    values += start
    if not 0 <= factor <= 1:
        # clipped to 0 ... 255: NumPy's ``clip`` takes longer
        cv2.threshold(values, 255, 255, cv2.THRESH_TRUNC, values)
        cv2.threshold(values, 0, 0, cv2.THRESH_TOZERO, values)


def auto_contrast(image: np.ndarray) -> np.ndarray:
    """``ImageOps.autocontrast``."""
    return cv2.merge([cv2.LUT(plane, _stretch_table(*cv2.minMaxLoc(plane)[:2]))
                      for plane in cv2.split(image)])


def equalize(image: np.ndarray) -> np.ndarray:
    """``ImageOps.equalize``."""
    return cv2.merge([cv2.LUT(plane, _equalize_table(plane)) for plane in cv2.split(image)])


def invert(image: np.ndarray) -> np.ndarray:
    """``ImageOps.invert``."""
    return cv2.bitwise_not(image)


def posterize(image: np.ndarray, bits: int) -> np.ndarray:
    """``ImageOps.posterize``; 0 bits are black."""
    return image & np.uint8(256 - (1 << (8 - bits)) & 255)


def solarize(image: np.ndarray, threshold: int) -> np.ndarray:
    """``ImageOps.solarize``: values from the threshold on are inverted."""
    return cv2.LUT(image, _solarize_table(threshold))


def solarize_add(image: np.ndarray, addend: int) -> np.ndarray:
    """Adds to values below 128, up to 255."""
    return cv2.LUT(image, _add_table(addend))


@lru_cache(4096)
def _stretch_table(low: float, high: float) -> np.ndarray:
    if high <= low:
        return _LEVELS.astype(np.uint8)
    scale = 255.0 / (high - low)
    return (_LEVELS * scale + -low * scale).clip(0, 255).astype(np.uint8)


def _equalize_table(plane: np.ndarray) -> np.ndarray:
    counts = np.bincount(plane.ravel(), minlength=256)
    step = (plane.size - int(counts[counts.nonzero()[0][-1]])) // 255
    if not step:
        return _LEVELS.astype(np.uint8)
    table = counts.cumsum()
    table -= counts
    table += step // 2
    quotients = table / step  # float64 is exact enough to be cut off, and faster than integers
    return np.minimum(quotients, 255, out=quotients).astype(np.uint8)


@lru_cache(512)
def _solarize_table(threshold: int) -> np.ndarray:
    return np.where(threshold > _LEVELS, _LEVELS, 255 - _LEVELS).astype(np.uint8)


@lru_cache(512)
def _add_table(addend: int) -> np.ndarray:
    return np.where(_LEVELS < 128, np.minimum(_LEVELS + addend, 255), _LEVELS).astype(np.uint8)
