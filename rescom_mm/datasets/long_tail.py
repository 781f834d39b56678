"""Which images a long-tailed subset keeps."""

from __future__ import annotations

import numpy as np


def long_tailed_sizes(n_max: float, num_classes: int, imbalance_factor: float,
                      profile: str = 'exp') -> list[int]:
    """Class sizes of a long-tailed set, class 0 the largest.

    ``'exp'``: floor(n_max * (1/rho)^(c/(C-1))); ``'step'``: n_max for c < C/2, floor(n_max/rho)
    for the others.
    """
    if imbalance_factor < 1:
        raise ValueError('imbalance_factor is the largest class size over the smallest, at least '
                         f'1, got {imbalance_factor}; for the inverse ratio 0.01 write 100')
    if profile == 'exp':
        last = max(num_classes - 1, 1)
        return [int(n_max * (1 / imbalance_factor)**(c / last)) for c in range(num_classes)]
    if profile == 'step':
        return [int(n_max) if c < num_classes / 2 else int(n_max / imbalance_factor)
                for c in range(num_classes)]
    raise ValueError(f"profile must be 'exp' or 'step', got {profile!r}")


def long_tailed_indices(labels: np.ndarray, imbalance_factor: float, profile: str = 'exp',
                        seed: int = 0, num_classes: int | None = None) -> np.ndarray:
    """Chooses a long-tailed subset as the CIFAR-LT benchmarks do.

    For each class in ascending order its positions are shuffled by NumPy's legacy generator,
    seeded once, and the first n_c are kept. n_max is the largest size at which every class has
    as many images as the profile asks of it (the class size of a balanced set).

    Args:
        labels: ``[N]`` class ids.
        imbalance_factor: rho.
        profile: ``'exp'`` or ``'step'``.
        seed: of the legacy generator.
        num_classes: C; the largest label + 1 where None.

    Returns:
        Positions into ``labels``, class by class.

    Raises:
        ValueError: if a class has no image, or would be left without any.
    """
    num_classes = num_classes or int(labels.max()) + 1
    have = np.bincount(labels, minlength=num_classes)
    if (have == 0).any():
        raise ValueError(f'classes {np.flatnonzero(have == 0).tolist()} have no image')
    # the profile at a size where flooring doesn't matter, to see which class limits n_max
    shares = np.array(long_tailed_sizes(1e12, num_classes, imbalance_factor, profile)) / 1e12
    with np.errstate(divide='ignore'):
        n_max = float(np.floor((have / shares).min() + 1e-6))
    sizes = long_tailed_sizes(n_max, num_classes, imbalance_factor, profile)
    if min(sizes) < 1:
        raise ValueError(f'imbalance_factor={imbalance_factor} leaves class '
                         f'{int(np.argmin(sizes))} without an image (the largest class keeps '
                         f'{int(n_max)}); lower it to at most {int(n_max)}')
    if not 0 <= seed < 2**32:
        raise ValueError(f'seed must lie in 0 ... 2^32 - 1, got {seed}')
    generator = np.random.RandomState(seed)
    kept = []
    for label, size in enumerate(sizes):
        positions = np.flatnonzero(labels == label)
        generator.shuffle(positions)
        kept.append(positions[:size])
    return np.concatenate(kept)
