"""Pillow's ops on the colours of an image, bit for bit, on arrays with NumPy and OpenCV.

Images are uint8 ``[H, W, 3]``; results are new arrays. ``bgr`` is the channels' order.
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


def color(image: np.ndarray, factor: float, bgr: bool) -> np.ndarray:
    """``ImageEnhance.Color``: 0 is grey."""
    luma_HW = _luma(image, bgr)
    if factor == 0:
        luma_HW = luma_HW.astype(np.uint8)
        return cv2.merge((luma_HW, luma_HW, luma_HW))
    return _blend(cv2.merge((luma_HW, luma_HW, luma_HW)), image, factor)


def contrast(image: np.ndarray, factor: float, bgr: bool) -> np.ndarray:
    """``ImageEnhance.Contrast``: 0 is the mean grey."""
    luma_HW = _luma(image, bgr)
    mean = int(cv2.sumElems(luma_HW)[0] / luma_HW.size + 0.5)
    return cv2.LUT(image, _blend_table(mean, factor))


def brightness(image: np.ndarray, factor: float) -> np.ndarray:
    """``ImageEnhance.Brightness``: 0 is black."""
    values = image.astype(np.float32)
    values *= np.float32(factor)
    if factor > 1:
        np.minimum(values, 255, out=values)
    return values.astype(np.uint8)


def sharpness(image: np.ndarray, factor: float) -> np.ndarray:
    """``ImageEnhance.Sharpness``: 0 is smoothed."""
    smooth = image.astype(np.float32)
    # no thirteenth lies halfway between two levels: rounding errors don't matter
    smooth[1:-1, 1:-1] = cv2.filter2D(image, -1, _SMOOTH)[1:-1, 1:-1]
    return _blend(smooth, image, factor)


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


def _luma(image: np.ndarray, bgr: bool) -> np.ndarray:
    """Pillow's mode L, as float32 ``[H, W]``."""
    luma_HW = cv2.transform(image.astype(np.float32), _LUMA_BGR if bgr else _LUMA_RGB)
    return np.floor(luma_HW, out=luma_HW)


def _blend(start: np.ndarray, image: np.ndarray, factor: float) -> np.ndarray:
    """``Image.blend`` in its order of float32 operations; ``start`` (float32) is at factor 0."""
    values = image.astype(np.float32)
    values -= start
    values *= np.float32(factor)
    values += start
    if not 0 <= factor <= 1:
        values.clip(0, 255, out=values)
    return values.astype(np.uint8)


@lru_cache(4096)
def _blend_table(start: int, factor: float) -> np.ndarray:
    return _blend(np.full(256, start, np.float32), _LEVELS, factor)


@lru_cache(4096)
def _stretch_table(low: float, high: float) -> np.ndarray:
    if high <= low:
        return _LEVELS.astype(np.uint8)
    scale = 255.0 / (high - low)
    return (_LEVELS * scale + -low * scale).clip(0, 255).astype(np.uint8)


def _equalize_table(plane: np.ndarray) -> np.ndarray:
    counts = cv2.calcHist([plane], [0], None, [256], [0, 256]).ravel().astype(np.int64)
    sums = np.cumsum(counts)
    step = (plane.size - int(counts[counts.nonzero()[0][-1]])) // 255
    if not step:
        return _LEVELS.astype(np.uint8)
    return np.minimum((sums - counts + step // 2) // step, 255).astype(np.uint8)


@lru_cache(512)
def _solarize_table(threshold: int) -> np.ndarray:
    return np.where(threshold > _LEVELS, _LEVELS, 255 - _LEVELS).astype(np.uint8)


@lru_cache(512)
def _add_table(addend: int) -> np.ndarray:
    return np.where(_LEVELS < 128, np.minimum(_LEVELS + addend, 255), _LEVELS).astype(np.uint8)
