"""What a sample looks like depends on seed, epoch and position alone."""

import copy
import pickle
import random

import numpy as np
import pytest
import torch
from mmengine.dataset import ClassBalancedDataset, DefaultSampler, InfiniteSampler, RepeatDataset
from torch.utils.data import DataLoader, RandomSampler, Subset, WeightedRandomSampler

from rescom_mm.datasets import (
    DigitsLT,
    LongTailedDataset,
    PositionedSampler,
    SampleKey,
    SeededDataset,
)
from rescom_mm.utils import delivered_items, rebuild_loader
from rescom_mm.utils.seeding import SAMPLE, derive_seed
from tests.resuming import FewDigits


class Draws:
    """Gives the index, and what the three generators give."""

    def __init__(self, size=23):
        self.size = size

    def __len__(self):
        return self.size

    def __getitem__(self, index):
        assert type(index) is int
        return torch.tensor([index, random.random(), np.random.rand(), torch.rand(()).item()],
                            dtype=torch.float64)


def sampler_of(rank=0, world=1, size=23, kind=DefaultSampler, seed=5):
    inner = kind(range(size), seed=seed)
    inner.rank, inner.world_size = rank, world
    if kind is DefaultSampler:
        inner.__dict__.update(num_samples=-(-size // world), total_size=-(-size // world) * world)
    sampler = PositionedSampler(inner, seed)
    sampler.rank, sampler.world_size = rank, world
    return sampler


def epoch(number, sampler=None, skip=0, dataset=None, **options):
    """What a loader gives in an epoch: ``[samples, 4]``."""
    dataset = dataset or Draws()
    sampler = sampler or sampler_of(size=len(dataset))
    sampler.start(number, skip)
    return torch.cat(list(DataLoader(SeededDataset(dataset), batch_size=4, sampler=sampler,
                                     **options)))


def reference_seed(*parts):
    """SplitMix64, as its authors write it, over the parts."""
    state, mask = 0, 2**64 - 1
    for part in parts:
        z = (state + part + 0x9e3779b97f4a7c15) % 2**64
        z = ((z ^ z // 2**30) * 0xbf58476d1ce4e5b9) & mask
        z = ((z ^ z // 2**27) * 0x94d049bb133111eb) & mask
        state = z ^ z // 2**31
    return state


def test_seeds_are_splitmix64():
    # the first outputs for the states 0 and 1234567, as published with the generator
    assert derive_seed(0) == 0xe220a8397b1dcdaf
    assert derive_seed(1234567) == 6457827717110365317
    many = derive_seed(3, SAMPLE, 7, np.arange(2000, dtype=np.uint64))
    assert many.dtype == np.uint64
    assert many.tolist() == [reference_seed(3, SAMPLE, 7, i) for i in range(2000)]
    assert len(set(many.tolist())) == 2000
    assert derive_seed(-1, 2) == reference_seed(2**64 - 1, 2)


def test_each_sample_has_its_own_draws():
    first, second = epoch(0), epoch(1)
    assert sorted(first[:, 0].tolist()) == list(range(23))
    for draws in first[:, 1:].T:
        assert len(draws.unique()) == 23
    # another order, and other views of each image
    assert not torch.equal(first[:, 0], second[:, 0])
    one, other = (part[part[:, 0].argsort()] for part in (first, second))
    assert (one[:, 1:] != other[:, 1:]).all()


@pytest.mark.parametrize('workers, persistent', [(2, False), (2, True), (3, True)])
def test_workers_do_not_matter(workers, persistent):
    """And the epoch reaches persistent ones."""
    dataset, sampler = Draws(), sampler_of()
    loader = DataLoader(SeededDataset(dataset), batch_size=4, sampler=sampler,
                        num_workers=workers, persistent_workers=persistent)
    for number in range(3):
        torch.manual_seed(number)  # where the main process is does not matter either
        sampler.start(number)
        assert torch.equal(torch.cat(list(loader)), epoch(number))


@pytest.mark.parametrize('kind', [DefaultSampler, InfiniteSampler])
def test_ranks_do_not_matter(kind):
    size, taken = 24, 72 if kind is InfiniteSampler else 24

    def samples(rank, world):
        keys = iter(sampler_of(rank, world, size, kind))
        return [SeededDataset(Draws(size))[next(keys)] for _ in range(taken // world)]

    alone = samples(0, 1)
    for world in (2, 3):
        dealt = [samples(rank, world) for rank in range(world)]
        together = [sample for step in zip(*dealt) for sample in step]
        assert torch.equal(torch.stack(together), torch.stack(alone))


@pytest.mark.parametrize('skip', [0, 1, 9, 22, 23, 30])
def test_from_any_position_on(skip):
    sampler = sampler_of()
    if skip >= 23:
        sampler.start(2, skip)
        assert list(sampler) == []
    else:
        assert torch.equal(epoch(2, skip=skip), epoch(2)[skip:])
    assert len(sampler) == 23


def test_endless_sampler_goes_on_across_passes_and_chunks():
    sampler = sampler_of(kind=InfiniteSampler)

    def taken(skip, number):
        sampler.start(0, skip)
        keys = iter(sampler)
        return [(int(key), key.seed) for key, _ in zip(keys, range(number))]

    stream = taken(0, 3000)
    assert len({seed for _, seed in stream}) == 3000
    for skip in (22, 23, 1023, 1024, 1025, 2500):
        assert taken(skip, 100) == stream[skip:skip + 100]


@pytest.mark.parametrize('make', [
    lambda: RandomSampler(range(50)), lambda: RandomSampler(range(50), replacement=True),
    lambda: WeightedRandomSampler([1.] * 49 + [50.], 50)])
def test_samplers_that_draw_from_the_global_generators(make):
    """Their order is a function of the epoch too, and an image drawn twice has two looks."""
    sampler = PositionedSampler(make(), 7)
    torch.manual_seed(1)
    orders = [epoch(number, sampler, dataset=Draws(50)) for number in range(2)]
    assert not torch.equal(orders[0][:, 0], orders[1][:, 0])
    torch.manual_seed(2)
    assert torch.equal(epoch(1, sampler, skip=20, dataset=Draws(50)), orders[1][20:])
    for draws in orders[0][:, 1:].T:
        assert len(draws.unique()) == 50


@pytest.mark.parametrize('wrap', [
    lambda digits: RepeatDataset(digits, 2), lambda digits: ClassBalancedDataset(digits, 0.5)])
def test_wrappers_that_repeat_images(wrap):
    digits = FewDigits(pipeline=[dict(type='RandomCrop', crop_size=8, padding=4),
                                 dict(type='Rotate', angle=90., prob=1.),
                                 dict(type='PackInputs')])
    dataset = SeededDataset(wrap(digits))
    looks = {}
    for key in PositionedSampler(DefaultSampler(dataset, seed=0), 0):
        sample = dataset[key]
        looks.setdefault(sample['data_samples'].sample_idx, []).append(sample['inputs'])
    pairs = [views for views in looks.values() if len(views) > 1]
    assert len(pairs) > 20
    different = [not torch.equal(views[0], views[1]) for views in pairs]
    assert np.mean(different) > 0.9  # some digits look like themselves, turned back


def test_a_plain_index_passes_through():
    torch.manual_seed(0)
    direct = Draws()[3]
    torch.manual_seed(0)
    assert SeededDataset(Draws())[3][3] == direct[3]
    key = SampleKey(3, 9)
    assert key == 3 and key.seed == 9
    for same in (pickle.loads(pickle.dumps(key)), copy.deepcopy(key)):
        assert type(same) is SampleKey and same == 3 and same.seed == 9


def test_attributes_are_those_of_the_dataset():
    digits = DigitsLT()
    dataset = SeededDataset(LongTailedDataset(digits, 2))
    assert dataset.metainfo == digits.metainfo and len(dataset) == len(dataset.indices)
    dataset.pipeline = pipeline = object()  # as mmpretrain's SwitchRecipeHook does it
    assert digits.pipeline is pipeline and dataset.pipeline is pipeline
    with pytest.raises(AttributeError, match='nothing'):
        dataset.nothing  # noqa: B018
    # torch would fetch through it, past the seeds
    subset = Subset(Draws(), range(5))
    assert hasattr(subset, '__getitems__') and not hasattr(SeededDataset(subset), '__getitems__')
    for same in (pickle.loads(pickle.dumps(SeededDataset(subset))),
                 copy.deepcopy(SeededDataset(subset))):
        assert len(same) == 5


def test_labels_are_found_once_behind_it():
    dataset = LongTailedDataset(DigitsLT(imbalance_factor=1), 10)
    for plain, seeded in zip(delivered_items(dataset), delivered_items(SeededDataset(dataset))):
        np.testing.assert_array_equal(plain, seeded)


def test_rebuilt_loader():
    loader = DataLoader(Draws(), batch_size=4, drop_last=True, num_workers=2, timeout=30,
                        prefetch_factor=3, persistent_workers=True, collate_fn=list)
    rebuilt = rebuild_loader(loader, dataset=Draws(9))
    assert len(rebuilt.dataset) == 9 and len(loader.dataset) == 23
    for name in ('batch_size', 'drop_last', 'num_workers', 'timeout', 'prefetch_factor',
                 'persistent_workers', 'collate_fn', 'sampler', 'pin_memory'):
        assert getattr(rebuilt, name) == getattr(loader, name), name
