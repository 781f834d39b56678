"""AutoAugment's CIFAR-10 policy as tables: what each of its ops does to pixels and values.

The tables are read off the ops of the host's policy, which are run on probe images: on all grey
levels, and on an image whose pixels say where they are. So both are the same policy.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...datasets import AutoAugmentCIFAR10
from .batched_ops import GREY, MEAN, NOTHING, SMOOTH

#: an op is left out, applied, or applied with a negative magnitude
STATES = 3
_BLENDS = dict(color=GREY, contrast=MEAN, sharpness=SMOOTH)
_OUTSIDE = 128  # the policy's fill


@dataclass
class PolicyRound:
    """The first or second ops of all S sub-policies, with three rows each (``STATES``).

    Attributes:
        prob: float64 ``[S]``, of applying the op.
        negative_prob: float64 ``[S]``, of a negative magnitude.
        source: int64 ``[3S, 1, P]``, where each pixel comes from (P: from outside), or
            ``[3S, 4, P]``, between which pixels it lies, where an op of the round is cubic.
        part: float64 ``[3S, P]``, where between the second and third of them.
        values: uint8 ``[3S, 256]``, what becomes of each value.
        autocontrast: bool ``[3S]``, tables of the image's own instead.
        equalize: bool ``[3S]``, as well.
        kind: int64 ``[3S]``, what the image is blended with.
        factor: float32 ``[3S]``, its own share.
        moves: bool ``[3S]``, which rows move pixels.
        maps: bool ``[3S]``, which rows map values.
        blends: bool ``[3S]``, which rows blend.
    """

    prob: Tensor
    negative_prob: Tensor
    source: Tensor
    part: Tensor
    values: Tensor
    autocontrast: Tensor
    equalize: Tensor
    kind: Tensor
    factor: Tensor
    moves: Tensor
    maps: Tensor
    blends: Tensor

    def to(self, device: torch.device) -> PolicyRound:
        """A copy on a device."""
        return PolicyRound(*(getattr(self, field.name).to(device) for field in fields(self)))


def policy_rounds(size: int) -> list[PolicyRound]:
    """Both rounds of the policy, for images of ``size x size`` pixels."""
    policy = AutoAugmentCIFAR10(channel_order='rgb')
    state = np.random.get_state()  # the ops draw, though nothing depends on it here
    rounds = [_round([pair.transforms[i] for pair in policy.transforms], size) for i in (0, 1)]
    np.random.set_state(state)
    return rounds


def _round(ops: list[Any], size: int) -> PolicyRound:
    rows = [_row(_fixed(op, state), state, size) for op in ops for state in range(STATES)]
    columns = {name: torch.stack([torch.as_tensor(row[name]) for row in rows]) for name in rows[0]}
    if not columns['part'].any():  # none is cubic: one pixel will do
        columns['source'] = columns['source'][:, 1:2].contiguous()
    here, ramp = torch.arange(size * size), torch.arange(256)
    special = columns['autocontrast'] | columns['equalize']
    return PolicyRound(
        prob=torch.tensor([float(op.prob) for op in ops], dtype=torch.float64),
        negative_prob=torch.tensor([float(op.random_negative_prob) for op in ops],
                                   dtype=torch.float64),
        moves=(columns['source'] != here).flatten(1).any(1),
        maps=special | (columns['values'] != ramp).any(1),
        blends=columns['kind'] != NOTHING, **columns)


def _fixed(op: Any, state: int) -> Any:
    """The op without chance."""
    op = copy.copy(op)
    op.prob, op.random_negative_prob = 1., float(state == 2)
    return op


def _row(op: Any, state: int, size: int) -> dict[str, Any]:
    P = size * size
    row = dict(source=torch.arange(P).expand(4, P), part=torch.zeros(P, dtype=torch.float64),
               values=torch.arange(256, dtype=torch.uint8), autocontrast=False, equalize=False,
               kind=NOTHING, factor=torch.tensor(1.))
    name = getattr(op, 'op', type(op).__name__.lower())  # PillowOp's, or mmpretrain's op
    if state == 0:
        return row
    if name in ('autocontrast', 'equalize'):
        row[name] = True
    elif name in _BLENDS:
        row.update(kind=_BLENDS[name], factor=torch.tensor(1 + op.random_negative(op.magnitude)))
    elif name == 'shear_y':
        row['source'], row['part'] = _shear_y(op.random_negative(op.magnitude), size)
    elif name.startswith(('rotate', 'translate')):
        row['source'] = _moved(op, size).expand(4, P)
    else:
        row['values'] = _mapped(op)
    return row


def _mapped(op: Any) -> Tensor:
    """What an op makes of each value, whatever the other pixels."""
    ramp = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    return torch.from_numpy(op(dict(img=ramp))['img'][..., 0].reshape(-1).copy())


def _moved(op: Any, size: int) -> Tensor:
    """Where an op without interpolation takes each pixel from."""
    here = np.arange(size * size, dtype=np.int64).reshape(size, size)
    image = np.stack([here >> 8, here & 255, np.zeros_like(here)], axis=2).astype(np.uint8)
    red, green, blue = np.moveaxis(op(dict(img=image))['img'].astype(np.int64), 2, 0)
    source = np.where(blue == _OUTSIDE, size * size, (red << 8) + green)
    return torch.from_numpy(source.reshape(-1))


def _shear_y(slope: float, size: int) -> tuple[Tensor, Tensor]:
    """Between which pixels of its column each one lies, and where, by Pillow's arithmetic."""
    y, x = (grid.flatten() for grid in torch.meshgrid(
        torch.arange(size, dtype=torch.float64), torch.arange(size, dtype=torch.float64),
        indexing='ij'))
    centre = slope * (x + 0.5) + (y + 0.5)
    row = (centre - 0.5).floor()
    rows = (row + torch.arange(-1, 3)[:, None]).clamp(0, size - 1).long()
    inside = (centre >= 0) & (centre < size)
    source = torch.where(inside, rows * size + x.long(), size * size)
    return source, torch.where(inside, centre - 0.5 - row, 0.)
