"""What a result was made with."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import get_world_size
from mmengine.runner import Runner

from ..version import __version__

_PACKAGES = ('torch', 'torchvision', 'numpy', 'onedl-mmengine', 'onedl-mmcv', 'onedl-mmpretrain',
             'mmengine', 'mmcv-lite', 'mmcv', 'mmpretrain')


def describe_run(runner: Runner) -> dict[str, Any]:
    """Config, command, versions, hardware and seed of a run, JSON-ready."""
    return dict(
        config=Path(runner.cfg.filename or '').name or None,
        experiment=runner.experiment_name,
        command=shlex.join(sys.argv),
        versions=versions(),
        hardware=hardware(),
        seed=runner.seed,
        # (a FlexibleRunner cannot be asked)
        deterministic=torch.are_deterministic_algorithms_enabled(),
        batch_size=dict(per_process=runner.train_dataloader.batch_size,
                        processes=get_world_size()),
        config_text=runner.cfg.pretty_text)


def describe_dataset(dataset: Any) -> str:
    """Class, split, and list or folder of a dataset; wrappers say what they hold."""
    name = type(dataset).__name__
    inner = getattr(dataset, 'datasets', None) or [getattr(dataset, 'dataset', None)]
    if inner[0] is not None:
        return f'{name} of {" and ".join(describe_dataset(part) for part in inner)}'
    prefixes = getattr(dataset, 'data_prefix', None) or {}
    place = (getattr(dataset, 'ann_file', None) or next(filter(None, prefixes.values()), None)
             or getattr(dataset, 'data_root', None))
    split = getattr(dataset, 'split', None)
    return ', '.join([name, *([f'split {split}'] if split else []), *([str(place)] if place
                                                                      else [])])


def versions() -> dict[str, str]:
    """Versions of Python, this package and what it stands on."""
    found = dict(python=platform.python_version(), rescom_mm=__version__)
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def hardware() -> dict[str, Any]:
    """Processor, cores that may be used, and GPUs."""
    return dict(
        cpu=_cpu_name(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count(),
        torch_threads=torch.get_num_threads(),
        gpus=[torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())])


def git_commit() -> str | None:
    """Commit of this package's checkout, ``+`` behind it where files differ from it."""
    folder = Path(__file__).resolve().parents[2]

    def git(*args: str) -> str:
        return subprocess.run(['git', '-C', str(folder), *args], capture_output=True, text=True,
                              check=True, timeout=10).stdout.strip()

    try:
        if Path(git('rev-parse', '--show-toplevel')).resolve() != folder:
            return None  # installed inside somebody else's repository
        changed = git('status', '--porcelain', '--untracked-files=no')
        return git('rev-parse', 'HEAD') + ('+' if changed else '')
    except (OSError, subprocess.SubprocessError):
        return None


def _cpu_name() -> str:
    try:
        lines = Path('/proc/cpuinfo').read_text().splitlines()
        return next(line.split(':', 1)[1].strip() for line in lines
                    if line.startswith('model name'))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
