from __future__ import annotations

from typing import Any

from ..utils.seeding import seed_generators
from .samplers import SampleKey


class SeededDataset:
    """A dataset whose random draws for a sample depend on the sample's key alone.

    For a key of a ``PositionedSampler`` it seeds ``random``, ``np.random`` and torch's generator,
    then asks the dataset for the sample; a plain index passes through. Attributes are those of
    the dataset, to read and to set.

    Args:
        dataset: what it wraps.
    """

    #: it delivers the dataset's own items: who looks for labels looks into the dataset
    transparent = True
    # attributes that are not the dataset's
    _OWN: tuple[str, ...] = ('dataset',)

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, key: int) -> Any:
        if isinstance(key, SampleKey):
            seed_generators(key.seed)
        return self.dataset[int(key)]

    def __getattr__(self, name: str) -> Any:
        # no special methods: torch would fetch through a dataset's __getitems__, unseeded;
        # and unpickling asks before there is a dataset
        if name in self._OWN or name.startswith('__'):
            raise AttributeError(name)
        return getattr(self.dataset, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self._OWN:
            super().__setattr__(name, value)
        else:
            setattr(self.dataset, name, value)

    def __repr__(self) -> str:
        return f'{type(self).__name__}({self.dataset!r})'
