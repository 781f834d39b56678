"""Temperature scaling: ``tools/model/calibrate.py``."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmpretrain.registry import DATASETS
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from ...evaluation import CalibrationError
from ..cli import check_data_paths
from .cli import add_model_options, output_file, read_model, write_pair
from .predict_logits import build_loader, predict_logits

_LIMITS = (0.01, 100.0)


def nll(logits_NC: np.ndarray, labels_N: np.ndarray, temperature: float = 1) -> float:
    """Mean negative log-likelihood of labels under ``softmax(logits / temperature)``."""
    log_NC = log_softmax(logits_NC.astype(np.float64) / temperature, axis=1)
    return -float(log_NC[np.arange(len(labels_N)), labels_N].mean())


def fit_temperature(logits_NC: np.ndarray, labels_N: np.ndarray) -> float:
    """The temperature of least negative log-likelihood (Guo et al., ICML 2017).

    Args:
        logits_NC: of validation images.
        labels_N: theirs.

    Raises:
        ValueError: where there is no least one: all images are classified right, or no more than
            by chance.
    """
    right = int((logits_NC.argmax(1) == labels_N).sum())
    # convex in 1 / T, so it has one minimum in log T
    low, high = np.log(_LIMITS)
    found = minimize_scalar(lambda t: nll(logits_NC, labels_N, np.exp(t)), bounds=(low, high),
                            method='bounded', options=dict(xatol=1e-6))
    if right == len(labels_N) or not low + 1e-3 < found.x < high - 1e-3:
        raise ValueError(f'no temperature in {_LIMITS[0]} ... {_LIMITS[1]} is best: {right} of the '
                         f'{len(labels_N)} validation images are classified right; take more, or '
                         'others')
    return float(np.exp(found.x))


def calibration_error(logits_NC: np.ndarray, labels_N: np.ndarray) -> float:
    """Expected calibration error in %, see ``CalibrationError``."""
    scores_NC = softmax(logits_NC, axis=1)
    pairs = np.stack([scores_NC.max(1), scores_NC.argmax(1) == labels_N], axis=1)
    return CalibrationError().compute_metrics(list(torch.from_numpy(pairs).float()))['ece']


def shared_images(dataset: Any, other: Any) -> int:
    """How many images of a data set are in another one too: by path, or by pixels in memory."""
    theirs = set(_images(other))
    return sum(image in theirs for image in _images(dataset))


def _images(dataset: Any) -> Iterator[str | bytes]:
    for index in range(len(dataset)):
        item = dataset.get_data_info(index)
        yield os.path.realpath(item['img_path']) if 'img_path' in item else item['img'].tobytes()


def check_split(cfg: Config, dataset: Any) -> list[str]:
    """Sees that validation images are neither test nor training images.

    Args:
        cfg: with the three data loaders.
        dataset: of ``val_dataloader``.

    Returns:
        The data sets that it could not be compared with, and why.

    Raises:
        ValueError: if images are shared.
    """
    unknown = []
    for name in ('test', 'train'):
        loader = cfg.get(f'{name}_dataloader')
        if loader is None:
            continue
        try:
            with DefaultScope.overwrite_default_scope('mmpretrain'):
                shared = shared_images(dataset, DATASETS.build(loader['dataset']))
        except Exception as error:  # images that are not on this machine, or an unusual data set
            unknown.append(f'{name}_dataloader.dataset ({type(error).__name__}: {error})')
            continue
        if shared:
            why = {'test': 'the calibration error there would look better than it is',
                   'train': 'the model is surer of them than of new ones'}[name]
            raise ValueError(
                f'{shared} of the {len(dataset)} images of val_dataloader are {name} images too: '
                f'{why}; point val_dataloader.dataset at images that are in neither (--cfg-options '
                'val_dataloader.dataset...), or give --any-split')
    return unknown


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Options of ``tools/model/calibrate.py``."""
    parser = argparse.ArgumentParser(
        description="Fit a temperature on val_dataloader's images and write the inference model, "
        'as strip.py does, with the logits divided by it.')
    add_model_options(parser)
    parser.add_argument('out', help='the new checkpoint, OUT.pth; its config is OUT.py')
    parser.add_argument('--any-split', action='store_true',
                        help='accept validation images that are test or training images')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point of ``tools/model/calibrate.py``."""
    args = parse_args(argv)
    out = output_file(args.out, [args.config, args.checkpoint])
    cfg, found = read_model(args)
    if cfg.model.head.get('test_prior') is not None:
        raise SystemExit('model.head.test_prior is set: fit the temperature without it, and adjust '
                         'the result (strip.py --test-prior)')
    if cfg.get('val_dataloader') is None:
        raise SystemExit(f'{args.config} has no val_dataloader; give the config of the training, '
                         'with val_dataloader.dataset for images kept for it')
    check_data_paths(cfg, ['val_dataloader'])
    loader = build_loader(cfg.val_dataloader)
    try:
        unknown = [] if args.any_split else check_split(cfg, loader.dataset)
        logits_NC, labels_N = predict_logits(found.model, loader)
        temperature = fit_temperature(logits_NC, labels_N)
        found.model.cpu()
        found.divide(temperature)
    except ValueError as error:
        raise SystemExit(str(error)) from error
    for what in unknown:
        print(f'not compared with {what}: see to it that they share no images')
    print(f'temperature {temperature:.4f}, fitted on {len(labels_N)} images; on these:')
    for when, logits in (('before', logits_NC), ('after', logits_NC / temperature)):
        print(f'{when:>7}: negative log-likelihood {nll(logits, labels_N):.4f}, expected '
              f'calibration error {calibration_error(logits, labels_N):.2f} %')
    write_pair(found, out)
