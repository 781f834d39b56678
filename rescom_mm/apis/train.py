"""Trains a model from a config: what ``tools/train.py`` runs."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from ..utils.whole_checkpoint import START_FROM
from .cli import (
    add_common_options,
    check_data_paths,
    init_cpu_processes,
    load_config,
    set_loader_defaults,
)
from .memory import explain_memory


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Options of ``tools/train.py``."""
    parser = argparse.ArgumentParser(description='Train a model.')
    parser.add_argument('config', help='config file, for instance '
                        'configs/rescom/rescom_tiny_digits-lt.py')
    parser.add_argument('--resume', nargs='?', const='auto', help='go on from a checkpoint: the '
                        'one given, or the newest of the work directory')
    parser.add_argument('--no-validate', action='store_true', help='no evaluation while training')
    parser.add_argument('--auto-scale-lr', action='store_true', help='scale the learning rate by '
                        'the real batch size over auto_scale_lr.base_batch_size of the config')
    parser.add_argument('--no-persistent-workers', action='store_true',
                        help='restart the data loading workers each epoch')
    add_common_options(parser)
    return parser.parse_args(argv)


def build_config(args: argparse.Namespace) -> Config:
    """The config that the options make of the file."""
    cfg = load_config(args)
    if args.no_validate:
        cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    if args.amp:
        cfg.optim_wrapper.type = 'AmpOptimWrapper'
        cfg.optim_wrapper.setdefault('loss_scale', 'dynamic')
    if args.resume is not None:
        cfg.resume = True
        if args.resume == 'auto':
            cfg[START_FROM], cfg.load_from = cfg.get('load_from'), None
        else:
            cfg.load_from = args.resume
        # (which one 'auto' is, and whether it is whole, WholeCheckpointHook finds out)
        if args.resume != 'auto' and '://' not in args.resume and not Path(args.resume).is_file():
            raise SystemExit(f'--resume: checkpoint {args.resume} does not exist')
    if args.auto_scale_lr:
        if 'auto_scale_lr' not in cfg:
            raise SystemExit('--auto-scale-lr: the config has no '
                             'auto_scale_lr = dict(base_batch_size=...); add it')
        cfg.auto_scale_lr.enable = True
    set_loader_defaults(cfg, ['train_dataloader', 'val_dataloader', 'test_dataloader'], args)
    check_data_paths(cfg, ['train_dataloader', 'val_dataloader'])
    return cfg


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point of ``tools/train.py``."""
    cfg = build_config(parse_args(argv))
    init_cpu_processes(cfg)
    runner = RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)
    try:
        runner.train()
    except torch.cuda.OutOfMemoryError as error:
        raise torch.cuda.OutOfMemoryError(explain_memory(runner)) from error
