"""What ``tools/train.py`` and ``tools/test.py`` share: options, and the config they make.

The options are those of mmpretrain's own tools.
"""

from __future__ import annotations

import argparse
import atexit
import inspect
import os
from pathlib import Path
from typing import Any

import torch
import torch.distributed as torch_dist
from mmengine.config import Config, DictAction
from mmpretrain.registry import DATASETS


def add_common_options(parser: argparse.ArgumentParser) -> None:
    """Options of both tools."""
    parser.add_argument('--work-dir', help='where logs, checkpoints and results go '
                        '(default: work_dirs/CONFIG_NAME)')
    parser.add_argument('--amp', action='store_true', help='automatic mixed precision')
    parser.add_argument('--no-pin-memory', action='store_true',
                        help='switch pin_memory off in the data loaders')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction,
                        help='override settings of the config, key=value; lists as key="[a,b]"')
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none',
                        help='job launcher (dist_*.sh and slurm_*.sh set it)')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0,
                        help=argparse.SUPPRESS)


def load_config(args: argparse.Namespace) -> Config:
    """Reads the config file and sets the work directory and the launcher."""
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    if not Path(args.config).is_file():
        raise SystemExit(f'config {args.config} does not exist; configs/ has those of this project')
    cfg = Config.fromfile(args.config)
    cfg.launcher = args.launcher
    if args.work_dir is not None:
        cfg.work_dir = args.work_dir
    elif cfg.get('work_dir') is None:
        cfg.work_dir = str(Path('work_dirs') / Path(args.config).stem)
    if args.cfg_options is not None:
        cfg.merge_from_dict(args.cfg_options)
    return cfg


def set_loader_defaults(cfg: Config, names: list[str], args: argparse.Namespace) -> None:
    """Settings of the data loaders that a config may leave out."""
    for name in names:
        loader = cfg.get(name)
        if loader is None:
            continue
        loader.setdefault('pin_memory', torch.cuda.is_available())
        loader.setdefault('collate_fn', dict(type='default_collate'))
        if args.no_pin_memory:
            loader.pin_memory = False
        loader.setdefault('persistent_workers', True)
        if not loader.get('num_workers') or getattr(args, 'no_persistent_workers', False):
            loader.persistent_workers = False


def check_data_paths(cfg: Config, names: list[str]) -> None:
    """Looks for the folders and lists of the data before anything is built.

    Raises:
        SystemExit: in one line that names the config key, if one does not exist.
    """
    for name in names:
        if cfg.get(name) is not None:
            _check_paths(cfg[name].get('dataset'), f'{name}.dataset')


def _check_paths(dataset: Any, key: str) -> None:
    if isinstance(dataset, (list, tuple)):
        for i, part in enumerate(dataset):
            _check_paths(part, f'{key}[{i}]')
    if not isinstance(dataset, dict):
        return
    for inner in ('dataset', 'datasets'):
        _check_paths(dataset.get(inner), f'{key}.{inner}')
    kind = dataset.get('type')
    cls = DATASETS.get(kind) if isinstance(kind, str) else kind
    if cls is None or 'download' in inspect.signature(cls).parameters:
        return  # what downloads its data brings it there
    root = dataset.get('data_root') or ''
    prefix = dataset.get('data_prefix') or ''
    if isinstance(prefix, dict):
        prefix = prefix.get('img_path') or ''
    for option, path in (('data_root', root), ('data_prefix', os.path.join(root, prefix)),
                         ('ann_file', os.path.join(root, dataset.get('ann_file') or ''))):
        if path and '://' not in path and not Path(path).expanduser().exists():
            raise SystemExit(f'{key}.{option}: {path} does not exist; set {key}.{option} to where '
                             'your data is (in the config, or with --cfg-options)')


def init_cpu_processes(cfg: Config) -> None:
    """Without a GPU, starts gloo before mmengine would ask for CUDA devices."""
    if cfg.launcher != 'pytorch' or torch.cuda.is_available() or torch_dist.is_initialized():
        return
    torch_dist.init_process_group('gloo')
    # a thread of gloo's that is alive when the interpreter ends would abort it
    atexit.register(_leave_processes)
    wrapper = dict(type='MMDistributedDataParallel', broadcast_buffers=False,
                   find_unused_parameters=cfg.get('find_unused_parameters', False))
    wrapper.update(cfg.get('model_wrapper_cfg') or {})
    cfg.model_wrapper_cfg = dict(wrapper, device_ids=None)


def _leave_processes() -> None:
    """Ends the process group, if there is one."""
    if torch_dist.is_initialized():
        torch_dist.destroy_process_group()
