"""What makes a run another experiment than its config file: differences between configs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

from mmengine.config import Config
from mmpretrain.registry import DATASETS

from .whole_checkpoint import START_FROM

UNSET = 'unset'
BATCH = 'global batch size'

# Entries that don't make another experiment; everything that is not here does. "*" crosses dots.
_IRRELEVANT = (
    # where things lie and are written
    '*data_root', 'work_dir', 'experiment_name',
    # a file that the user names: weights of a known origin
    'model.*init_cfg.checkpoint',
    # the same images, however they are checked and fetched
    '*.check_md5', '*_dataloader.num_workers', '*_dataloader.persistent_workers',
    '*_dataloader.pin_memory', '*_dataloader.prefetch_factor',
    # batches in which a model without batch statistics is evaluated
    'val_dataloader.batch_size', 'test_dataloader.batch_size',
    # the global batch size, compared by itself, stands for these
    'train_dataloader.batch_size', 'launcher',
    # how processes and kernels work together
    'env_cfg', 'model_wrapper_cfg', 'randomness.deterministic',
    # runs of one experiment differ in it
    'randomness.seed',
    # a run that goes on (load_from: see experiment())
    'resume',
    # what is shown and kept, and how often the run is evaluated on its way
    'default_hooks.timer', 'default_hooks.logger', 'default_hooks.checkpoint',
    # what guards a run and lets it go on
    'default_hooks.resume', 'default_hooks.stop', 'default_hooks.finite',
    'default_hooks.bad_images',
    'default_hooks.visualization', 'default_hooks.results', 'log_level', 'log_processor',
    'visualizer', 'vis_backends', 'train_cfg.val_interval',
    # names within config files; what they stand for is compared where it is used
    'augmentation', 'train_pipeline', 'test_pipeline', 'tta_pipeline', 'tta_model',
)
# options of a data set that don't change its images or labels
_NOT_DATA = ('check_md5', 'download', 'lazy_init', 'max_refetch', 'serialize_data', 'test_mode')


def experiment(cfg: Config) -> dict[str, Any]:
    """The entries of a config that decide what comes out, JSON-ready."""
    entries = cfg.to_dict()
    start = entries.pop(START_FROM, None)  # of train.py --resume
    if entries.get('resume'):
        entries['load_from'] = start  # instead of the run's own checkpoint
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        if entries.get(name):
            entries[name].setdefault('collate_fn', dict(type='default_collate'))  # train.py's
    return _prune(entries, '')


def _prune(value: Any, key: str) -> Any:
    if isinstance(value, dict):
        keys = {name: f'{key}.{name}' if key else str(name) for name in value}
        return {name: _prune(value[name], full) for name, full in keys.items()
                if not any(fnmatchcase(full, pattern) for pattern in _IRRELEVANT)}
    if isinstance(value, (list, tuple)):
        return [_prune(item, f'{key}[{i}]') for i, item in enumerate(value)]
    return value if value is None or isinstance(value, (bool, int, float, str)) else repr(value)


def digest(entries: Any) -> str:
    """Eight hexadecimal digits that stand for JSON-ready entries."""
    text = json.dumps(entries, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def changes(cfg: Config, base: Config, batch_size: int | None = None) -> dict[str, list]:
    """What a run's config changes in its file: ``{'dotted.key': [from, to]}``.

    Args:
        cfg: of the run.
        base: the config file.
        batch_size: training images of a step over all processes; compared with
            ``auto_scale_lr.base_batch_size`` of ``base``, or its loader's ``batch_size`` where
            there is none.
    """
    run, file = experiment(cfg), experiment(base)
    if not run.get('val_dataloader'):  # --no-validate: the figures are the test list's
        for name in ('val_cfg', 'val_dataloader', 'val_evaluator'):
            run.pop(name, None)
            file.pop(name, None)
    found = {key: [old, new] for key, old, new in _differences(file, run, '')}
    meant = (base.get('auto_scale_lr') or {}).get('base_batch_size',
                                                  base.train_dataloader.get('batch_size'))
    if batch_size is not None and batch_size != meant:
        found[BATCH] = [meant, batch_size]
    elif batch_size is not None:
        found.pop('auto_scale_lr.enable', None)  # it scales by 1
    return found


def _differences(old: Any, new: Any, key: str) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(old, dict) and isinstance(new, dict):
        for name in [*old, *(name for name in new if name not in old)]:
            yield from _differences(old.get(name, UNSET), new.get(name, UNSET),
                                    f'{key}.{name}' if key else name)
    elif _nested(old) and _nested(new) and len(old) == len(new):
        for i, pair in enumerate(zip(old, new)):
            yield from _differences(*pair, f'{key}[{i}]')
    elif old != new:
        yield key, old, new


def _nested(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(item, (dict, list)) for item in value)


def same_list(cfg: Config) -> bool:
    """Whether the validation and test loaders of a config deliver the same images."""
    lists = []
    for name in ('val_dataloader', 'test_dataloader'):
        loader = cfg.get(name)
        if not loader:
            return False
        lists.append(_data(loader.get('dataset')))
    return lists[0] == lists[1]


def _data(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {name: _data(item) for name, item in value.items() if name not in _NOT_DATA}
        kind = value.get('type')
        # two splits of a benchmark may share a list file
        lists = getattr(DATASETS.get(kind) if isinstance(kind, str) else kind, 'LISTS', {})
        if kept.get('split') in lists:
            kept['ann_file'] = kept.get('ann_file') or lists[kept.pop('split')]
        return kept
    if isinstance(value, (list, tuple)):
        return [_data(item) for item in value]
    return value
