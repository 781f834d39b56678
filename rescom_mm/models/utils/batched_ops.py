"""Pillow's image operations on whole batches, each image with parameters of its own.

Images are uint8 ``[M, 3, P]``: P = H * W pixels a channel, row by row. Everything is a tensor
operation of fixed shape: nothing waits for the device. The arithmetic is Pillow's (float64 for the
cubic and for autocontrast, float32 for blending, whole numbers else), and so are the pixels.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

#: what an image is blended with
NOTHING, GREY, MEAN, SMOOTH = range(4)


def move(x_M3P: Tensor, source_MQ: Tensor, fill: int) -> Tensor:
    """Gives each pixel the value of another one.

    Args:
        x_M3P: images.
        source_MQ: int64, where each value comes from; P: from outside.
        fill: value of what comes from outside.

    Returns:
        ``[M, 3, Q]``.
    """
    return F.pad(x_M3P, (0, 1), value=fill).gather(2, source_MQ[:, None].expand(-1, 3, -1))


def move_cubic(x_M3P: Tensor, taps_M4P: Tensor, part_MP: Tensor, fill: int) -> Tensor:
    """Cubic interpolation between four pixels in a line, as Pillow's ``BICUBIC``.

    Args:
        x_M3P: images.
        taps_M4P: int64, the four pixels; P: from outside.
        part_MP: float64, where between the second and the third, 0 ... 1.
        fill: value of what comes from outside.
    """
    taps = move(x_M3P, taps_M4P.flatten(1), fill).unflatten(2, taps_M4P.shape[1:]).double()
    v1, v2, v3, v4 = taps.unbind(2)
    d, a, b = part_MP[:, None], v1 - v2, v3 - v4
    value = v2 + d * (v3 - v1 + d * (torch.add(b, a, alpha=2) - d * (a + b)))
    return value.clamp_(0, 255).to(torch.uint8)


def map_values(x_M3P: Tensor, values_MV: Tensor, autocontrast_M: Tensor, equalize_M: Tensor
               ) -> Tensor:
    """Replaces each value by another.

    Args:
        x_M3P: images.
        values_MV: uint8, what becomes of each of the 256 values, except where
        autocontrast_M: bool, each channel is to be spread over 0 ... 255, or
        equalize_M: bool, its histogram is to be made flat.
    """
    index = x_M3P.long()
    low, high = index.aminmax(dim=2, keepdim=True)
    tables = torch.where(autocontrast_M[:, None, None], _spread(low, high), values_MV[:, None])
    tables = torch.where(equalize_M[:, None, None], _flat(index, high), tables)
    return tables.gather(2, index)


def _spread(low_M31: Tensor, high_M31: Tensor) -> Tensor:
    """Autocontrast's tables, uint8 ``[M, 3, 256]``."""
    ramp = torch.arange(256, dtype=torch.float64, device=low_M31.device)
    # torch divides numbers, and CUDA by numbers, by way of rounded reciprocals; tensors it does not
    scale = ramp[-1:] / (high_M31 - low_M31)
    spread = (ramp * scale - low_M31 * scale).clamp_(0, 255)
    return torch.where(high_M31 > low_M31, spread, ramp).to(torch.uint8)


def _flat(index_M3P: Tensor, high_M31: Tensor) -> Tensor:
    """Equalisation's tables, uint8 ``[M, 3, 256]``."""
    M, _, P = index_M3P.shape
    one = torch.ones((), dtype=torch.int32, device=index_M3P.device)
    histogram = one.new_zeros(M, 3, 256).scatter_add_(2, index_M3P, one.expand(index_M3P.shape))
    step = (P - histogram.gather(2, high_M31)) // 255
    below = histogram.cumsum(2, dtype=torch.int32) - histogram
    flat = ((step // 2 + below) // step.clamp(min=1)).clamp_(max=255)
    ramp = torch.arange(256, dtype=torch.int32, device=index_M3P.device)
    return torch.where(step > 0, flat, ramp).to(torch.uint8)


def blend(x_M3P: Tensor, kind_M: Tensor, factor_M: Tensor, size: int) -> Tensor:
    """Blends images with what they would be without a property; factor 1 changes nothing.

    Args:
        x_M3P: images.
        kind_M: what with: ``GREY`` (colour), ``MEAN`` (contrast) or ``SMOOTH`` (sharpness).
        factor_M: float32, share of the image itself; above 1 it is driven away from the other.
        size: width and height, at most 64: whole numbers stay below 2^24, exact in float32.
    """
    x, P = x_M3P.float(), size * size
    kind = kind_M[:, None, None]
    red, green, blue = x.split(1, 1)
    grey = ((19595 * red + 38470 * green + 7471 * blue + 32768) / 65536).floor_()
    # halves keep the quotients of whole numbers away from where a rounded reciprocal would matter
    mean = ((grey.sum(2, keepdim=True) + (P // 2 + 0.5)) / P).floor_()
    other = torch.where(kind == GREY, grey, torch.where(kind == MEAN, mean, _smooth(x, size)))
    return (other + factor_M[:, None, None] * (x - other)).clamp_(0, 255).to(torch.uint8)


def _smooth(x_M3P: Tensor, size: int) -> Tensor:
    """A mean over 3x3 pixels, the middle one five times; the border stays."""
    x = x_M3P.unflatten(2, (size, size))
    rows = x[..., :-2] + x[..., 1:-1] + x[..., 2:]
    total = rows[..., :-2, :] + rows[..., 1:-1, :] + rows[..., 2:, :]
    total = total.add_(x[..., 1:-1, 1:-1], alpha=4)
    out = x.clone()
    out[..., 1:-1, 1:-1] = total.add_(6.5).div_(13).floor_()
    return out.flatten(2)
