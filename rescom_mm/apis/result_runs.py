"""Finished runs as the results page keeps them: taken in, compared with their configs, grouped."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config

from ..utils.experiment import changes, digest
from .benchmarks import Benchmarks, natural

# what a page needs of a results.json, without paths of the machine that made it
_KEPT = ('config', 'commit', 'versions', 'hardware', 'seed', 'batch_size', 'wall_time_s', 'epochs',
         'iterations', 'best_on_evaluation_set')
_POINTS = 100  # of each curve


@dataclass
class Group:
    """Runs of one experiment: same config, changes to it, and list; they differ in the seed."""

    config: str
    runs: list[dict[str, Any]] = field(default_factory=list)
    number: int = 0

    @property
    def first(self) -> dict[str, Any]:
        """One of the runs, for what they share."""
        return self.runs[0]


def take_in(file: Path, runs: Path, benchmarks: Benchmarks) -> str:
    """Keeps what the page needs of a ``results.json`` in ``runs``; returns what it did.

    Raises:
        SystemExit: for a run without figures or of no benchmark config, or whose figures would
            replace those of another command.
    """
    results = json.loads(file.read_text())
    config = benchmarks.configs.get(Path(results.get('config') or '').stem)
    if config is None:
        raise SystemExit(f'{file}: configs/ has no benchmark config {results.get("config")}; only '
                         'runs of those are shown')
    cfg = Config.fromstring(results['config_text'], '.py')
    kept = {key: results[key] for key in _KEPT}
    batch = results['batch_size']  # per process None with a batch sampler
    images = batch['processes'] * batch['per_process'] if batch['per_process'] else None
    kept.update(
        command=_command(results['command'], batch['processes']),
        changes=_without_paths(changes(cfg, config.cfg, images)),
        config_digest=config.digest,
        final=_final(results, file),
        history=_thin_history(results['history']),
        curves={name: _thin_curve(points) for name, points in results['curves'].items()})
    name = f'{benchmarks.same[config.name]}_{results["epochs"]:g}e_seed{results["seed"]}'
    if kept['changes']:
        name += f'_{digest(kept["changes"])}'
    target = runs / f'{name}.json'
    done = f'took in {target}' + (_replaced(target, kept, file) if target.exists() else '')
    target.parent.mkdir(parents=True, exist_ok=True)
    lines = [f' {json.dumps(key)}: {json.dumps(value)}' for key, value in kept.items()]
    target.write_text('{\n' + ',\n'.join(lines) + '\n}\n')
    return done


def _final(results: dict[str, Any], file: Path) -> dict[str, Any]:
    final = results.get('final')
    if final is None:
        raise SystemExit(f'{file}: the run has no final figures (trained without validation, or '
                         'its test did not end: train.py --resume repeats that)')
    return dict(list=final['list'], figures={
        name: round(value, 4) for name, value in final['figures'].items()
        if name not in ('epoch', 'iter')})


def _replaced(target: Path, kept: dict[str, Any], file: Path) -> str:
    """What a run that is there already gives way for.

    Raises:
        SystemExit: if it was made by another command and has other figures.
    """
    old = json.loads(target.read_text())
    same = old['final'] == kept['final']
    if old['command'] == kept['command']:
        return '' if same else f', in place of a run of commit {old["commit"]} with other figures'
    if not same:
        raise SystemExit(f'{target} was made by another command than {file} and has other figures; '
                         'remove it first if the new one shall stand for this config')
    return f', in place of the same figures by: {old["command"]}'


def _command(command: str, processes: int) -> str:
    """The command as it is typed, with paths cut to what another checkout has."""
    words = []
    for word in shlex.split(command):
        option, equals, value = word.rpartition('=')
        for folder in ('tools/', 'configs/', 'work_dirs/'):
            if value.startswith('/') and f'/{folder}' in value:
                value = folder + value.split(f'/{folder}', 1)[1]
        words.append(option + equals + _without_paths(value))
    if '--launcher' not in words:
        return 'python ' + shlex.join(words)
    at = words.index('--launcher')  # as the launch scripts give it
    launcher, words = words[at + 1], words[:at] + words[at + 2:]
    if launcher == 'slurm':
        return f'GPUS={processes} tools/slurm_train.sh PARTITION JOB {shlex.join(words[1:])}'
    return shlex.join(['tools/dist_train.sh', words[1], str(processes), *words[2:]])


def _without_paths(value: Any) -> Any:
    """Absolute paths cut to their last part."""
    if isinstance(value, dict):
        return {name: _without_paths(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_without_paths(item) for item in value]
    return Path(value).name if isinstance(value, str) and value.startswith('/') else value


def _thin_history(history: list[dict]) -> list[dict]:
    """At most ``_POINTS`` evaluations, the last one among them."""
    step = -(-len(history) // _POINTS) or 1
    return [{name: round(value, 3) for name, value in entry.items()}
            for entry in history[::-1][::step][::-1]]


def _thin_curve(points: list[list[float]]) -> list[list[float]]:
    """At most ``_POINTS`` pairs of (iteration, mean of the values up to it)."""
    step = -(-len(points) // _POINTS) or 1
    parts = [points[start:start + step] for start in range(0, len(points), step)]
    return [[part[-1][0], round(float(np.mean([value for _, value in part])), 4)]
            for part in parts]


def read_groups(runs: Path, benchmarks: Benchmarks) -> dict[str, list[Group]]:
    """The run files of a folder in groups, by config; longest runs first.

    Configs that do the same have the same groups, those of the first one on the page.

    Raises:
        SystemExit: for a run of a config that is not there any more.
    """
    groups: dict[str, Group] = {}
    for path in sorted(runs.glob('*.json'), key=lambda path: natural(path.name)):
        run = json.loads(path.read_text())
        config = benchmarks.same.get(Path(run['config']).stem)
        if config is None:
            raise SystemExit(f'{path}: configs/ has no {run["config"]} any more; remove the run')
        key = json.dumps([config, run['changes'], run['final']['list']], sort_keys=True)
        groups.setdefault(key, Group(config)).runs.append(run)
    found: dict[str, list[Group]] = {}
    for group in sorted(groups.values(), key=lambda group: -group.first['epochs']):
        found.setdefault(group.config, []).append(group)
    return {name: found[first] for name, first in benchmarks.same.items() if first in found}
