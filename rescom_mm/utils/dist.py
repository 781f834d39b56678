"""Collectives beside mmengine's."""

from __future__ import annotations

import torch
import torch.distributed as torch_dist
from mmengine.dist import all_reduce, get_comm_device, get_world_size
from torch import Tensor


def all_gather(everyone: Tensor, mine: Tensor) -> None:
    """Gathers a tensor of the same shape from every rank, one after another along dimension 0."""
    # torch 2.13 calls it so, and warns of the other name
    gather = getattr(torch_dist, 'all_gather_single', None) or torch_dist.all_gather_into_tensor
    gather(everyone, mine)


def same_on_all_ranks(fingerprint: bytes) -> bool:
    """Whether all ranks hold the same bytes (a digest, of one length everywhere)."""
    world = get_world_size()
    if world == 1:
        return True
    mine = torch.tensor(list(fingerprint), dtype=torch.int32, device=get_comm_device())
    everyone = mine.new_empty((world, len(fingerprint)))
    all_gather(everyone, mine[None])
    return bool((everyone == mine).all())


def any_on_ranks(flag: bool) -> bool:
    """Whether it is True on any rank; a collective of one number."""
    if get_world_size() == 1:
        return flag
    flags = torch.tensor(int(flag), device=get_comm_device())
    all_reduce(flags, op='max')
    return bool(flags)
