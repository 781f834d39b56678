"""Seconds per epoch of a whole training on CIFAR-100-LT, through mmengine's Runner.

Data loading, augmentation, steps, hooks and validation are those of tools/train.py. --rounds is
the number of epochs; --iterations N measures a part of an epoch, --full the whole recipe.
"""

import rescom_mm  # noqa: F401  first: it readies the OpenMMLab stack  # isort: skip

import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from measure import ROOT, parser, save, shown, start, summary
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS

from rescom_mm.apis import train
from rescom_mm.utils import StopRequested

_FIRST = 5  # iterations that warm up, and are not counted


@HOOKS.register_module()
class ClockHook(Hook):
    """Notes when iterations, epochs and validations begin and end.

    Args:
        stop_after: iterations after which the training ends; None for its own end.
    """

    priority = 'LOWEST'

    def __init__(self, stop_after: int | None = None) -> None:
        self.stop_after = stop_after
        self.iterations: list[float] = []
        self.waits: list[float] = []
        self.epochs: list[float] = []
        self.validations: list[float] = []

    def before_train_epoch(self, runner: Runner) -> None:
        self._epoch = self._last = time.perf_counter()

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        self.waits.append(time.perf_counter() - self._last)

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None,
                         outputs: dict | None = None) -> None:
        now = time.perf_counter()
        self.iterations.append(now - self._last)
        self._last = now
        if runner.iter + 1 == self.stop_after:
            raise StopRequested('measured')

    def after_train_epoch(self, runner: Runner) -> None:
        self.epochs.append(time.perf_counter() - self._epoch)

    def before_val(self, runner: Runner) -> None:
        self._validation = time.perf_counter()

    def after_val(self, runner: Runner) -> None:
        self.validations.append(time.perf_counter() - self._validation)


def measure(config: str, options: Sequence[str], epochs: int | None,
            iterations: int | None) -> dict[str, Any]:
    """Trains and tells how long it took.

    Args:
        config: file.
        options: as after ``--cfg-options``.
        epochs: of the training; None for the config's own.
        iterations: to stop after; None for the end.
    """
    with tempfile.TemporaryDirectory() as folder:
        args = train.parse_args([config, '--work-dir', folder, '--cfg-options', *options])
        cfg = train.build_config(args)
        if epochs is not None:
            cfg.train_cfg.max_epochs = epochs
        cfg.default_hooks.clock = dict(type='ClockHook', stop_after=iterations)
        begin = time.perf_counter()
        runner = Runner.from_cfg(cfg)
        clock, = (hook for hook in runner.hooks if isinstance(hook, ClockHook))
        built = time.perf_counter()
        try:
            runner.train()
        except StopRequested:
            assert iterations is not None
        per_epoch, counted = len(runner.train_dataloader), clock.iterations[_FIRST:]
        row: dict[str, Any] = dict(
            config=Path(config).stem, per_epoch=per_epoch, iterations=len(clock.iterations),
            iteration=summary(counted), waits_for_data=sum(clock.waits[_FIRST:]) / sum(counted),
            build=built - begin, training=time.perf_counter() - built,
            # of a part of an epoch: what all iterations would take
            epoch=summary(clock.epochs or [per_epoch * seconds for seconds in counted]))
        if clock.validations:
            row['validation'] = summary(clock.validations)
        results = Path(folder) / 'results.json'
        if results.exists():
            row['final'] = json.loads(results.read_text())['final']['figures']
    return row


def main(argv: Sequence[str] | None = None) -> None:
    """Measures one training."""
    options = parser(__doc__ or '', 'epoch')
    options.set_defaults(rounds=2)
    options.add_argument('--config', default='configs/rescom/rescom_r32_cifar100-lt-if100.py')
    options.add_argument('--data-root', default='data/cifar100', help='of the official files')
    options.add_argument('--no-check-md5', action='store_true', help='accept a repacked copy')
    options.add_argument('--iterations', type=int, help='stop after so many')
    options.add_argument('--full', action='store_true', help='all epochs of the config')
    options.add_argument('--cfg-options', nargs='+', default=[], metavar='KEY=VALUE',
                         help='changes of the config, as for tools/train.py')
    args = options.parse_args(argv)
    start(args)
    if args.iterations is not None and args.iterations < _FIRST + 2:
        raise SystemExit(f'--iterations: at least {_FIRST + 2}, the first {_FIRST} warm up')
    data = [f'{split}_dataloader.dataset.{option}' for split in ('train', 'val', 'test')
            for option in (f'data_root={args.data_root}', f'check_md5={not args.no_check_md5}')]
    row = measure(str(ROOT / args.config), [*data, *args.cfg_options],
                  None if args.full else args.rounds, args.iterations)
    print(f'{shown(row["epoch"], 1, 1)} s an epoch'
          + ('' if args.iterations is None else f' (from {args.iterations} iterations)')
          + f', {row["waits_for_data"]:.1%} of it waiting for data; '
          + (f'a validation {row["validation"]["median"]:.1f} s; ' if 'validation' in row else '')
          + f'all {row["training"]:.0f} s', flush=True)
    args.data_root = Path(args.data_root).name  # a path of this machine is of no use to others
    save(args, [row])


if __name__ == '__main__':
    main()
