"""Short real trainings for tests."""

import os
import subprocess
import sys
from pathlib import Path

from mmengine.config import Config
from mmengine.runner import Runner

from rescom_mm.utils.safe_load import safe_load

ROOT = Path(__file__).resolve().parents[1]
TINY = ROOT / 'configs' / 'rescom' / 'rescom_tiny_digits-lt.py'

# What a stock tool needs beside a CPU-only torch before it imports torchvision; ours get it from
# rescom_mm.compat.
SITECUSTOMIZE = '''
try:
    import torchvision
except RuntimeError:
    import torch
    _kept = torch.library.Library('torchvision', 'FRAGMENT')
    _kept.define('nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor')
    _kept.define('qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor')
except ImportError:
    pass
'''


def read_config(file):
    """A config whose text is not formatted: yapf takes longer than a short training."""
    cfg = Config.fromfile(file)  # which doesn't pass the option on
    return Config(cfg.to_dict(), cfg_text=cfg.text, filename=cfg.filename,
                  format_python_code=False)


def tiny_config(work_dir, config=TINY, epochs=2, without=(), **options):
    """A config of the quick start, shortened; options are dotted keys with __ for dots.

    ``without`` names default hooks to leave out.
    """
    cfg = read_config(config)
    cfg.work_dir = str(work_dir)
    cfg.merge_from_dict({'train_cfg.max_epochs': epochs, 'train_cfg.val_interval': 1,
                         'default_hooks.checkpoint.interval': 1, 'log_level': 'WARNING'})
    for hook in without:
        cfg.default_hooks.pop(hook)
    cfg.merge_from_dict({key.replace('__', '.'): value for key, value in options.items()})
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        cfg[name].setdefault('collate_fn', dict(type='default_collate'))
    cfg.experiment_name = f'{Path(work_dir).name}_{id(cfg)}'
    return cfg


def train(work_dir, **options):
    runner = Runner.from_cfg(tiny_config(work_dir, **options))
    runner.train()
    return runner


def load(file):
    """A checkpoint, with nothing in it executed."""
    return safe_load(file)


def run_tool(*command, cwd=ROOT, env=None, check=True):
    """Runs a Python tool in a process of its own; returns it with its output."""
    done = subprocess.run([sys.executable, *map(str, command)], cwd=cwd, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          env={**os.environ, 'OMP_NUM_THREADS': '1', **(env or {})}, timeout=300)
    if check and done.returncode != 0:
        raise AssertionError(f'{command} ended with {done.returncode}:\n{done.stdout[-4000:]}')
    return done
