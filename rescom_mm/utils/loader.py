"""Data loaders: building one anew with other parts, and ending its workers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch.utils.data import DataLoader


def rebuild_loader(loader: DataLoader, **changes: Any) -> DataLoader:
    """A data loader with the settings of another one.

    Args:
        loader: whose settings are taken.
        changes: arguments of ``DataLoader`` that differ.
    """
    batches: dict[str, Any] = dict(batch_sampler=loader.batch_sampler)
    if loader.batch_size is not None or loader.batch_sampler is None:  # no batch_sampler was given
        batches = dict(batch_size=loader.batch_size, sampler=loader.sampler,
                       drop_last=loader.drop_last)
    settings = dict(
        dataset=loader.dataset, num_workers=loader.num_workers, collate_fn=loader.collate_fn,
        pin_memory=loader.pin_memory, timeout=loader.timeout,
        worker_init_fn=loader.worker_init_fn,
        multiprocessing_context=loader.multiprocessing_context, generator=loader.generator,
        prefetch_factor=loader.prefetch_factor, persistent_workers=loader.persistent_workers,
        pin_memory_device=loader.pin_memory_device)
    if hasattr(loader, 'in_order'):  # torch >= 2.6
        settings['in_order'] = loader.in_order
    return DataLoader(**{**settings, **batches, **changes})


def set_loader(loop: Any, loader: DataLoader) -> None:
    """Gives a training loop another data loader, before its first iteration."""
    loop.dataloader = loader
    if hasattr(loop, 'dataloader_iterator'):  # IterBasedTrainLoop
        loop.dataloader_iterator = type(loop.dataloader_iterator)(loader)


@contextmanager
def iterating(loader: DataLoader) -> Iterator[Iterator[Any]]:
    """An iterator over a data loader; its workers, if they do not persist, end with the block."""
    iterator = iter(loader)
    try:
        yield iterator
    finally:
        if not loader.persistent_workers:
            _stop(iterator)


def stop_workers(loader: DataLoader) -> None:
    """Ends the persistent workers of a data loader, where it has any.

    Left to the garbage collector, an iterator waits 5 s for each of its workers.
    """
    iterator, loader._iterator = loader._iterator, None
    _stop(iterator)


def _stop(iterator: Any) -> None:
    if hasattr(iterator, '_shutdown_workers'):  # it has workers
        iterator._shutdown_workers()
