"""The benchmark configs of this repository, in the order of the results page."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Any

from mmengine.config import Config

from ..utils import project_folder
from ..utils.experiment import digest, experiment

CONFIGS = project_folder() / 'configs'
_R50, _R32 = 'r50_imagenet-lt', 'r32_cifar100-lt-if100'
_METHODS = ('ce', 'balsfx', 'rescom')
_RUNGS = ('moco-balsfx', 'supcon-balsfx', 'supcon-cbl-balsfx', 'supcon-cbq-balsfx',
          'supcon-spm-balsfx', 'rescom')
# title -> patterns of config names, in the order of the rows; one config may stand in several
_SECTIONS: dict[str, list[str]] = {
    'CIFAR-100-LT': [f'{method}_r32_cifar100-lt-*' for method in _METHODS],
    'CIFAR-10-LT': [f'{method}_r32_cifar10-lt-*' for method in _METHODS],
    'ImageNet-LT': [f'{method}_*_imagenet-lt' for method in _METHODS],
    'iNaturalist 2018': ['*_inat18'],
    'Places-LT': ['*_places-lt'],
    'Ablation ladder on ImageNet-LT': [f'{rung}_{_R50}' for rung in _RUNGS],
    'Ablation ladder on CIFAR-100-LT': [f'{rung}_{_R32}' for rung in _RUNGS],
    'Queue types': [f'{queue}_{data}' for data in (_R50, _R32)
                    for queue in ('queue-*', 'supcon-cbq-balsfx')],
    'Hard pair mining': ['spm-*'],
    'Class weights': ['beta-*'],
    'Queue sizes': [f'{variant}{size}_{_R50}'
                    for variant in ('moco-balsfx', 'supcon-balsfx', 'rescom')
                    for size in ('-q[12]000', '', '-q8000')],
    'Digits-LT': ['*_digits-lt'],
}


@dataclass
class Benchmark:
    """A config with benchmark data.

    Args:
        name: of the file, without ``.py``.
        cfg: what is in it.
    """

    name: str
    cfg: Config

    @cached_property
    def digest(self) -> str:
        """Stands for what the config does, whatever its file is called."""
        return digest(experiment(self.cfg))

    @property
    def epochs(self) -> int | None:
        """Epochs of the recipe; None where it counts iterations."""
        return self.cfg.train_cfg.get('max_epochs')


class Benchmarks:
    """All configs of a folder but those for one's own images, in sections."""

    def __init__(self, folder: Path = CONFIGS) -> None:
        self.configs: dict[str, Benchmark] = {}
        for path in folder.rglob('*.py'):
            if '_base_' not in path.parts:
                cfg = Config.fromfile(path)
                if cfg.train_dataloader.dataset.type != 'OwnImages':
                    self.configs[path.stem] = Benchmark(path.stem, cfg)
        names = sorted(self.configs, key=natural)
        self.sections: dict[str, list[str]] = {
            title: [name for pattern in patterns for name in names if fnmatchcase(name, pattern)]
            for title, patterns in _SECTIONS.items()}
        placed = {name for rows in self.sections.values() for name in rows}
        self.sections['Other configs'] = [name for name in names if name not in placed]
        firsts: dict[str, str] = {}
        #: config -> the first one on the page that does the same
        self.same: dict[str, str] = {
            name: firsts.setdefault(self.configs[name].digest, name)
            for rows in self.sections.values() for name in rows}


def natural(name: str) -> list[Any]:
    """A key that sorts numbers within names by value."""
    return [float(part) if i % 2 else part
            for i, part in enumerate(re.split(r'(\d+(?:\.\d+)?)', name))]
