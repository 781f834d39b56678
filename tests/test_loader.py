"""Data loaders built anew with other parts, and their workers."""

import pytest
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, SequentialSampler

from rescom_mm.utils.loader import iterating, rebuild_loader, stop_workers

DATA = list(range(11))
SETTINGS = ('num_workers', 'pin_memory', 'timeout', 'worker_init_fn', 'generator',
            'prefetch_factor', 'persistent_workers', 'collate_fn', 'batch_size', 'drop_last')


class PairSampler(BatchSampler):
    """Batches of its own."""


@pytest.mark.parametrize('options', [
    dict(batch_size=4, shuffle=True, drop_last=True),
    dict(batch_size=4, num_workers=2, prefetch_factor=3, persistent_workers=True, timeout=9,
         multiprocessing_context='spawn', worker_init_fn=print),
    dict(batch_size=None),
    dict(batch_sampler=PairSampler(SequentialSampler(DATA), 2, True)),
    dict(batch_sampler=BatchSampler(SequentialSampler(DATA), 3, True)),
], ids=['sampler', 'workers', 'no batches', 'own batch sampler', 'batch sampler'])
def test_settings_stay(options):
    loader = DataLoader(DATA, **options)
    other = [-item for item in DATA]
    new = rebuild_loader(loader, dataset=other)
    assert new.dataset is other and len(new) == len(loader)
    part = 'batch_sampler' if 'batch_sampler' in options else 'sampler'
    assert getattr(new, part) is getattr(loader, part)
    for name in SETTINGS:
        assert getattr(new, name) == getattr(loader, name), name
    assert type(new.batch_sampler) is type(loader.batch_sampler)
    if loader.num_workers:
        assert new.multiprocessing_context.get_start_method() == 'spawn'


def test_changes_win():
    loader = DataLoader(DATA, batch_size=4)
    sampler = RandomSampler(DATA)
    new = rebuild_loader(loader, sampler=sampler, collate_fn=list)
    assert new.sampler is sampler and new.batch_sampler.sampler is sampler
    assert sorted(index for batch in new for index in batch) == DATA
    assert loader.collate_fn is not list


@pytest.mark.parametrize('persistent', [False, True])
def test_workers_end(persistent):
    """With the block, be it by an error; those that persist when they are told to."""
    loader = DataLoader(DATA, num_workers=2, persistent_workers=persistent)
    with pytest.raises(KeyError), iterating(loader) as batches:
        workers = batches._workers
        assert int(next(batches)) == 0 and all(worker.is_alive() for worker in workers)
        raise KeyError
    assert all(worker.is_alive() == persistent for worker in workers)
    stop_workers(loader)
    assert not any(worker.is_alive() for worker in workers)
    assert [int(batch) for batch in loader] == DATA  # and it begins anew
    stop_workers(loader)
    with iterating(DataLoader(DATA)) as batches:
        assert [int(batch) for batch in batches] == DATA
    stop_workers(DataLoader(DATA))
