"""Tests a checkpoint: what ``tools/test.py`` runs."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path

import mmengine
from mmengine.config import Config, ConfigDict
from mmengine.dist import master_only
from mmengine.evaluator import DumpResults
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from ..evaluation import ShotAccuracy
from ..utils.environment import describe_dataset
from ..visualization.results import figures_table
from .cli import (
    add_common_options,
    check_data_paths,
    init_cpu_processes,
    load_config,
    set_loader_defaults,
)


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Options of ``tools/test.py``."""
    parser = argparse.ArgumentParser(description='Test a checkpoint.')
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--out', help='file for the predictions (.pkl) or metrics (.json)')
    parser.add_argument('--out-item', choices=['metrics', 'pred'],
                        help='what goes into --out (default: pred)')
    parser.add_argument('--show-dir', help='folder for pictures of the predictions')
    parser.add_argument('--show', action='store_true', help='show predictions in a window')
    parser.add_argument('--interval', type=int, default=1, help='draw every n-th image')
    parser.add_argument('--wait-time', type=float, default=2, help='seconds a window stays')
    parser.add_argument('--tta', action='store_true', help='test-time augmentation: the '
                        "config's tta_model and tta_pipeline, or averaging over a flip")
    add_common_options(parser)
    args = parser.parse_args(argv)
    if args.out is None and args.out_item is not None:
        parser.error('--out-item needs --out FILE')
    if args.out and args.out_item != 'metrics' and not args.out.endswith(('.pkl', '.pickle')):
        parser.error(f'--out {args.out}: predictions go into a .pkl file; for the metrics as JSON '
                     'add --out-item metrics')
    if not Path(args.checkpoint).is_file() and '://' not in args.checkpoint:
        parser.error(f'checkpoint {args.checkpoint} does not exist')
    return args


def build_config(args: argparse.Namespace) -> Config:
    """The config that the options make of the file."""
    cfg = load_config(args)
    cfg.load_from = args.checkpoint
    if args.amp:
        cfg.test_cfg.fp16 = True
    if args.show or args.show_dir is not None:
        cfg.default_hooks.visualization = dict(
            type='VisualizationHook', enable=True, show=args.show, wait_time=args.wait_time,
            out_dir=args.show_dir, interval=args.interval)
    if args.tta:
        _use_tta(cfg)
    set_loader_defaults(cfg, ['test_dataloader'], args)
    check_data_paths(cfg, ['test_dataloader'])
    return cfg


def _use_tta(cfg: Config) -> None:
    pipeline = cfg.test_dataloader.dataset.pipeline
    if 'tta_pipeline' not in cfg:
        flips = [dict(type='RandomFlip', prob=prob) for prob in (1.0, 0.0)]
        cfg.tta_pipeline = deepcopy(pipeline[:-1]) + [
            dict(type='TestTimeAug', transforms=[flips, [pipeline[-1]]])]
    tta_model = cfg.get('tta_model', dict(type='mmpretrain.AverageClsScoreTTA'))
    cfg.model = ConfigDict(**tta_model, module=cfg.model)
    cfg.test_dataloader.dataset.pipeline = cfg.tta_pipeline


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point of ``tools/test.py``."""
    args = parse_args(argv)
    cfg = build_config(args)
    init_cpu_processes(cfg)
    runner = RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)
    if args.out and args.out_item != 'metrics':
        runner.test_evaluator.metrics.append(DumpResults(out_file_path=args.out))
    metrics = runner.test()
    _show(runner, args.checkpoint, metrics)
    if args.out and args.out_item == 'metrics':
        mmengine.dump(metrics, args.out)


@master_only
def _show(runner: Runner, checkpoint: str, metrics: dict) -> None:
    """Says what was tested on which list, and the table of the shot groups."""
    dataset = runner.test_dataloader.dataset
    shot = next((metric for metric in runner.test_evaluator.metrics
                 if isinstance(metric, ShotAccuracy)), None)
    figures = {name: value for name, value in metrics.items() if isinstance(value, (int, float))}
    table = figures_table(figures, shot and shot.counts, shot and shot.thresholds,
                          shot and shot.per_class_accuracy,
                          (getattr(dataset, 'metainfo', None) or {}).get('classes'))
    print('\n'.join(['', f'{checkpoint} on test_dataloader: {describe_dataset(dataset)}, '
                     f'{len(dataset)} images', *table]))
