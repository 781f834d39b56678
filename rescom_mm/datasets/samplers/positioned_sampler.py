from __future__ import annotations

from collections.abc import Iterator
from itertools import count, islice
from typing import Any

import numpy as np
from mmengine.dataset import InfiniteSampler
from mmengine.dist import get_dist_info
from torch.utils.data import Sampler

from ...utils.seeding import SAMPLE, SAMPLER, derive_seed, seed_generators

_CHUNK = 1024  # indices that are drawn and hashed at once


class SampleKey(int):
    """Index of a sample in a dataset, and the seed of every random draw for it.

    It travels to the data loading workers, so that these know the epoch too.
    """

    seed: int

    def __new__(cls, index: int, seed: int) -> SampleKey:
        key = int.__new__(cls, index)  # super() would take three times as long
        key.seed = seed
        return key

    def __reduce__(self) -> Any:
        return SampleKey, (self.real, self.seed)


class PositionedSampler(Sampler):
    """Gives what another sampler gives, as keys that carry a seed, from any position on.

    The seed is a function of (seed, epoch, position), where a position counts the samples of all
    ranks in one epoch: samplers deal them out in turn, rank r getting r, r + world, ...
    So an image looks the same for any number of ranks, and one that is drawn several times in an
    epoch looks different each time. An endless sampler has one epoch.

    Args:
        sampler: the sampler, of one rank.
        seed: the same on every rank; an attribute too.
    """

    def __init__(self, sampler: Any, seed: int = 0) -> None:
        self.sampler = sampler
        self.seed = seed
        self.rank, self.world_size = get_dist_info()
        self.epoch = 0
        self.skipped = 0

    def start(self, epoch: int, skip: int = 0) -> None:
        """Sets where the next pass begins; one after it begins at the beginning.

        Args:
            epoch: number of the pass, from 0.
            skip: samples of this rank that were consumed already.
        """
        self.set_epoch(epoch)
        self.skipped = skip

    def set_epoch(self, epoch: int) -> None:
        """Sets the number of the next pass."""
        self.epoch = epoch
        if hasattr(self.sampler, 'set_epoch'):
            self.sampler.set_epoch(epoch)

    def __len__(self) -> int:
        """Samples of this rank in a whole pass, skipped ones included."""
        return len(self.sampler)

    def __iter__(self) -> Iterator[SampleKey]:
        if isinstance(self.sampler, InfiniteSampler):  # it would go on where it was
            self.sampler.indices = self.sampler._indices_of_rank()
        epoch, skip, self.skipped = self.epoch, self.skipped, 0
        # some samplers draw from the global generators, at once or as they go
        seed_generators(derive_seed(self.seed, SAMPLER, epoch, 0))
        indices = iter(self.sampler)
        for start in count(step=_CHUNK):
            seed_generators(derive_seed(self.seed, SAMPLER, epoch, start))
            chunk = list(islice(indices, _CHUNK))
            if not chunk:
                return
            if skip < start + len(chunk):
                local = np.arange(start, start + len(chunk), dtype=np.uint64)
                seeds = derive_seed(self.seed, SAMPLE, epoch, self.rank + self.world_size * local)
                keys = map(SampleKey, chunk, seeds.tolist())
                yield from islice(keys, max(0, skip - start), None)
