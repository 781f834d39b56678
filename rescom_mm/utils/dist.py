"""Collectives that ResCom needs beside mmengine's."""

from __future__ import annotations

import torch
import torch.distributed as torch_dist
from mmengine.dist import get_comm_device, get_world_size
from torch import Tensor

PAD_LABEL = -1


def gather_keys(keys_BD: Tensor, labels_B: Tensor, rows: int) -> tuple[Tensor, Tensor]:
    """Gathers keys and labels of all ranks, in rank order, with one collective.

    Ranks may hold different numbers of rows; each pads to ``rows``. Keys travel bit for bit.

    Args:
        keys_BD: float32 keys of this rank, ``B <= rows``.
        labels_B: int32 labels of this rank.
        rows: the loader's batch size, the same on every rank.

    Returns:
        ``[world * rows, D]`` keys and ``[world * rows]`` labels, :data:`PAD_LABEL` where a row
        is padding. In a single process the arguments as they are.
    """
    world = get_world_size()
    if world == 1:
        return keys_BD, labels_B
    B, D = keys_BD.shape
    if rows < B:
        raise RuntimeError(f'{B} keys in a step but the loader\'s batch size is {rows}')
    packed = labels_B.new_full((rows, D + 1), PAD_LABEL)
    packed[:B, :D] = keys_BD.contiguous().view(torch.int32)
    packed[:B, D] = labels_B
    everyone = packed.new_empty((world * rows, D + 1))
    torch_dist.all_gather_into_tensor(everyone, packed)
    return everyone[:, :D].contiguous().view(torch.float32), everyone[:, D]


def same_on_all_ranks(fingerprint: bytes) -> bool:
    """Whether all ranks hold the same bytes (a digest, of one length everywhere)."""
    world = get_world_size()
    if world == 1:
        return True
    mine = torch.tensor(list(fingerprint), dtype=torch.int32, device=get_comm_device())
    everyone = mine.new_empty((world, len(fingerprint)))
    torch_dist.all_gather_into_tensor(everyone, mine[None])
    return bool((everyone == mine).all())
