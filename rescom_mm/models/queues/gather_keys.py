"""The one collective of a step."""

from __future__ import annotations

import torch
from mmengine.dist import get_world_size
from torch import Tensor

from ...utils import StepFlags
from ...utils.dist import all_gather

PAD_LABEL = -1


def gather_keys(keys_BD: Tensor, labels_B: Tensor, rows: int,
                flags: StepFlags | None = None) -> tuple[Tensor, Tensor]:
    """Gathers keys and labels of all ranks, in rank order, with one collective.

    Ranks may hold different numbers of rows; each pads to ``rows``. Keys travel bit for bit.

    Args:
        keys_BD: float32 keys of this rank, ``B <= rows``.
        labels_B: integer labels of this rank, below 2^31.
        rows: the loader's batch size, the same on every rank.
        flags: ride along; on every rank or on none.

    Returns:
        ``[world * rows, D]`` keys and ``[world * rows]`` int32 labels, :data:`PAD_LABEL` where a
        row is padding. In a single process the arguments as they are.
    """
    world = get_world_size()
    if world == 1:
        return keys_BD, labels_B
    B, D = keys_BD.shape
    if rows < B:
        raise RuntimeError(f'{B} keys in a step but the loader\'s batch size is {rows}')
    # one more row for the flags
    packed = labels_B.new_full((rows + 1, D + 1), PAD_LABEL, dtype=torch.int32)
    packed[:B, :D] = keys_BD.contiguous().view(torch.int32)
    packed[:B, D] = labels_B
    packed[rows, 0] = flags.send() if flags is not None else 0
    everyone = packed.new_empty((world, rows + 1, D + 1))
    all_gather(everyone.view(-1, D + 1), packed)
    if flags is not None:
        flags.receive(everyone[:, rows, 0])
    gathered = everyone[:, :rows].reshape(world * rows, D + 1)
    return gathered[:, :D].contiguous().view(torch.float32), gathered[:, D]
