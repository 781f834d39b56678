"""Class priors of test images: ``tools/model/prior.py``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np

from ...datasets import long_tailed_indices
from ...utils.prior import estimate_prior
from ..cli import check_data_paths
from .cli import add_model_options, output_file, read_model, with_options
from .predict_logits import build_loader, predict_logits

#: largest over smallest test class
RATIOS = (2, 5, 10, 25, 50)


def adjusted_accuracy(logits_NC: np.ndarray, labels_N: np.ndarray, test_C: np.ndarray,
                      trained_C: np.ndarray) -> float:
    """Share in % of images classified right under a test prior."""
    guess_N = (logits_NC + np.log(test_C) - np.log(trained_C)).argmax(1)
    return 100 * float((guess_N == labels_N).mean())


def shifted_indices(labels_N: np.ndarray, training_counts: Sequence[int], ratio: float,
                    reverse: bool, seed: int = 0) -> np.ndarray:
    """Images of a test set whose class sizes fall exponentially.

    Args:
        labels_N: of the test set.
        training_counts: training images by class, for the order of the classes.
        ratio: largest class over smallest.
        reverse: whether the classes with fewest training images get most.
        seed: which images are kept.

    Returns:
        Positions.
    """
    counts = np.asarray(training_counts)
    rank_C = np.argsort(np.argsort(counts if reverse else -counts, kind='stable'))
    return long_tailed_indices(rank_C[labels_N], ratio, seed=seed, num_classes=len(counts))


def shift_table(logits_NC: np.ndarray, labels_N: np.ndarray, training_counts: Sequence[int],
                trained_C: np.ndarray, seed: int = 0) -> list[str]:
    """A table of the accuracy on shifted test sets: as it is, with the prior known, or estimated.

    As LADE (CVPR 2021) tests: sizes that fall exponentially in training order (forward), or in
    reverse (backward). A line says where the test set has too few images for a ratio.

    Raises:
        ValueError: if a class has no test image.
    """
    missing = np.flatnonzero(np.bincount(labels_N, minlength=len(trained_C)) == 0)
    if missing.size:
        raise ValueError(f'--table needs test images of every class; {missing.size} have none '
                         f'(the first is class {missing[0]})')
    lines = ['| test classes | images | as trained | prior known | prior estimated |',
             '| --- | --- | --- | --- | --- |']
    for reverse in (False, True):
        for ratio in RATIOS:
            name = f'{"backward" if reverse else "forward"} {ratio}'
            try:
                kept = shifted_indices(labels_N, training_counts, ratio, reverse, seed)
            except ValueError:  # a class would be left without an image
                lines.append(f'| {name} | too few | | | |')
                continue
            logits, labels = logits_NC[kept], labels_N[kept]
            known_C = np.bincount(labels, minlength=len(trained_C)) / len(labels)
            priors = (trained_C, known_C, estimate_prior(logits, trained_C, pseudo_count=1))
            figures = [f'{adjusted_accuracy(logits, labels, prior, trained_C):.1f}'
                       for prior in priors]
            lines.append(f'| {name} | {len(kept)} | {" | ".join(figures)} |')
    return lines


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Options of ``tools/model/prior.py``."""
    parser = argparse.ArgumentParser(
        description="Estimate the class prior of test_dataloader's images without their labels "
        '(expectation maximisation). The file is what --test-prior of strip.py takes.')
    add_model_options(parser)
    parser.add_argument('out', help='text file for it, OUT.txt: a number for each class')
    parser.add_argument('--trained-prior', metavar='PRIOR', help='the prior that the logits stand '
                        'for; needed only where it is not known (after plain cross-entropy: train)')
    parser.add_argument('--pseudo-count', type=float, default=1,
                        help='images added to each class (default: %(default)s)')
    parser.add_argument('--table', action='store_true', help='print the accuracy on test sets '
                        'resampled with other class sizes, which needs their labels')
    args = parser.parse_args(argv)
    if args.pseudo_count <= 0:
        parser.error('--pseudo-count must be positive: no class may have a prior of 0')
    return args


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point of ``tools/model/prior.py``."""
    args = parse_args(argv)
    out = output_file(args.out, [args.config, args.checkpoint], ('.txt', ))
    cfg, found = read_model(args)
    if cfg.model.head.get('test_prior') is not None:
        raise SystemExit('model.head.test_prior is set: estimate the prior without it')
    check_data_paths(cfg, ['test_dataloader'])
    try:
        trained_C = found.trained_prior(args.trained_prior)
    except ValueError as error:
        raise SystemExit(with_options(error)) from error
    logits_NC, labels_N = predict_logits(found.model, build_loader(cfg.test_dataloader))
    prior_C = estimate_prior(logits_NC, trained_C, args.pseudo_count)
    out.write_text(''.join(f'{value:.8g}\n' for value in prior_C))
    names = found.meta['dataset_meta'].get('classes') or range(len(prior_C))
    shown = sorted(zip(prior_C, names), key=lambda pair: -pair[0])
    print(f'{out}: class prior of {len(logits_NC)} images, from '
          f'{shown[0][1]} {shown[0][0]:.4f} to {shown[-1][1]} {shown[-1][0]:.4f}')
    if args.table:
        if found.counts is None:
            raise SystemExit('--table orders the classes by their training images, and the '
                             'checkpoint carries no counts')
        try:
            print('\n'.join(shift_table(logits_NC, labels_N, found.counts, trained_C)))
        except ValueError as error:
            raise SystemExit(str(error)) from error
