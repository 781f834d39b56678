"""Class priors: those that users name, and that of images without labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

#: a prior as options give it: ``'uniform'``, ``'train'``, a file of a number a line, or numbers
Prior = str | Sequence[float]


def read_prior(prior: Prior, num_classes: int, counts: Sequence[int] | None,
               option: str) -> np.ndarray:
    """The class prior that an option names.

    Args:
        prior: ``'uniform'``; ``'train'``, that of the training images; a text file with one number
            for each class, a line each; or these numbers. They need not sum to 1: counts do too.
        num_classes: C.
        counts: training images by class, for ``'train'``.
        option: its name, for errors.

    Returns:
        float64 ``[C]``, positive, of sum 1.

    Raises:
        ValueError: in one line that says what to give instead.
    """
    if isinstance(prior, str):
        if prior == 'uniform':
            return np.full(num_classes, 1 / num_classes)
        if prior == 'train':
            if counts is None:
                raise ValueError(f"{option}='train' needs the class counts of the training set, "
                                 'and the checkpoint carries none; give the numbers, or a file '
                                 'with one for each class')
            prior = list(counts)
        else:
            prior = _read_numbers(prior, option)
    values = np.asarray(prior, dtype=np.float64)
    if values.shape != (num_classes, ):
        raise ValueError(f'{option} has {values.size} numbers, there are {num_classes} classes; '
                         'give one for each class')
    if not (np.isfinite(values) & (values > 0)).all():
        wrong = int(np.flatnonzero(~(np.isfinite(values) & (values > 0)))[0])
        raise ValueError(f'{option} is {values[wrong]} for class {wrong}; it must be positive for '
                         'every class (a class that hardly occurs: a small number)')
    return values / values.sum()


def _read_numbers(file: str, option: str) -> list[float]:
    path = Path(file).expanduser()
    if not path.is_file():
        raise ValueError(f"{option}: {file} is no file; give 'uniform', 'train', or a text file "
                         'with one number for each class, a line each')
    try:
        return [float(line) for line in path.read_text().split()]
    except ValueError as error:
        raise ValueError(f'{option}: {file} must hold one number for each class, a line each '
                         f'({error})') from error


def estimate_prior(logits_NC: np.ndarray, trained_C: np.ndarray, pseudo_count: float = 0,
                   tolerance: float = 1e-7, max_iterations: int = 10_000) -> np.ndarray:
    """Maximum likelihood estimate of the class prior of images without labels.

    The EM algorithm of Saerens, Latinne and Decaestecker (Neural Computation 14, 2002): the
    posteriors under the present prior, and as the next prior their mean. The likelihood is concave
    in the prior, so there is one maximum. It is as good as the posteriors are calibrated.

    Args:
        logits_NC: of a classifier; their softmax are posteriors under the prior ``trained_C``.
        trained_C: positive, of sum 1: uniform after Balanced Softmax, that of the training images
            after plain cross-entropy.
        pseudo_count: images added to each class of the estimate (a Dirichlet prior), which keeps
            it positive where few images speak of a class.
        tolerance: ends when no class's prior changes by more.
        max_iterations: ends in any case.

    Returns:
        float64 ``[C]`` of sum 1.
    """
    # here: it takes longer to import than all of this package
    from scipy.special import log_softmax, softmax

    images, classes = logits_NC.shape
    log_likelihood_NC = log_softmax(logits_NC.astype(np.float64), axis=1) - np.log(trained_C)
    prior_C = np.asarray(trained_C, dtype=np.float64)
    with np.errstate(divide='ignore'):  # a prior may go to 0
        for _ in range(max_iterations):
            posterior_NC = softmax(log_likelihood_NC + np.log(prior_C), axis=1)
            found_C = ((posterior_NC.sum(axis=0) + pseudo_count)
                       / (images + classes * pseudo_count))
            change, prior_C = np.abs(found_C - prior_C).max(), found_C
            if change < tolerance:
                break
    return prior_C
