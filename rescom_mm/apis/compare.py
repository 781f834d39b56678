"""Trains several configs over several seeds and compares them: ``tools/compare.py``."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from scipy import stats

from ..utils import project_folder

FIGURES = ('shot/all', 'shot/many', 'shot/medium', 'shot/few')
TRAIN = project_folder() / 'tools' / 'train.py'


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Options of ``tools/compare.py``."""
    parser = argparse.ArgumentParser(description='Train configs over seeds and compare their '
                                     'last-epoch figures, paired by seed.')
    parser.add_argument('configs', nargs='+', help='the last one is the reference')
    parser.add_argument('--seeds', type=int, default=10, help='seeds 0 ... N-1 (default: 10)')
    parser.add_argument('--jobs', type=int, default=1, help='trainings side by side, each with '
                        'an equal share of the cores (default: 1)')
    parser.add_argument('--work-dir', default='work_dirs/compare', help='one folder a run; runs '
                        'that are there are not repeated (default: %(default)s)')
    parser.add_argument('--out', help='write the figures as JSON')
    parser.add_argument('--markdown', help='put the table between the lines "<!-- NAME -->" and '
                        '"<!-- /NAME -->" of this file, NAME being the name of --out')
    parser.add_argument('--cfg-options', nargs='+', default=[], help='passed on to each training')
    return parser.parse_args(argv)


def train_once(config: str, seed: int, args: argparse.Namespace) -> dict[str, Any]:
    """Trains one config with one seed, unless its results are there; returns them."""
    folder = Path(args.work_dir) / Path(config).stem / f'seed{seed}'
    file = folder / 'results.json'
    options = [f'randomness.seed={seed}', *args.cfg_options]
    cfg = Config.fromfile(config)
    if 'seed' in cfg.train_dataloader.dataset:
        options.insert(1, f'train_dataloader.dataset.seed={seed}')
    # what makes a run another one; kept beside it, so that no old run passes for a new one
    recipe = '\n'.join([cfg.pretty_text, *options])
    if not file.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / 'recipe.txt').write_text(recipe)
        threads = max(1, len(os.sched_getaffinity(0)) // args.jobs)
        with open(folder / 'output.txt', 'w') as output:
            done = subprocess.run(
                [sys.executable, str(TRAIN), config, '--work-dir', str(folder), '--cfg-options',
                 *options], stdout=output, stderr=subprocess.STDOUT,
                env=dict(os.environ, OMP_NUM_THREADS=str(threads)))
        if done.returncode != 0:
            raise RuntimeError(f'training {config} with seed {seed} failed; see {output.name}')
    known = folder / 'recipe.txt'
    if not known.is_file() or known.read_text() != recipe:
        raise RuntimeError(f'{folder} holds a run of another config or other --cfg-options; '
                           'remove it, or use another --work-dir')
    results = json.loads(file.read_text())
    if not results.get('final'):
        raise RuntimeError(f'{file} has no final figures; remove {folder} to train it again')
    return results


def train_all(args: argparse.Namespace) -> dict[str, list[dict]]:
    """Trains every config with every seed and reports progress with the time left."""
    tasks = [(config, seed) for seed in range(args.seeds) for config in args.configs]
    done: dict[tuple[str, int], dict] = {}
    started = time.time()
    with ThreadPoolExecutor(args.jobs) as pool:
        futures = {pool.submit(train_once, *task, args): task for task in tasks}
        for future in as_completed(futures):
            config, seed = futures[future]
            try:
                done[config, seed] = future.result()
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
            left = (time.time() - started) / len(done) * (len(tasks) - len(done))
            print(f'[{len(done)}/{len(tasks)}] {Path(config).stem} seed {seed}: '
                  f'{done[config, seed]["final"]["figures"]["shot/all"]:.2f}, '
                  f'about {left / 60:.0f} min left', flush=True)
    return {config: [done[config, seed] for seed in range(args.seeds)] for config in args.configs}


def summarise(runs: dict[str, list[dict]], command: str) -> dict[str, Any]:
    """Mean and standard deviation of each figure, and paired differences to the last config."""
    reference = list(runs)[-1]

    def values(config: str, figure: str) -> np.ndarray:
        return np.array([run['final']['figures'][figure] for run in runs[config]])

    methods = {}
    for config, of_config in runs.items():
        row: dict[str, Any] = dict(wall_time_s=float(np.mean([r['wall_time_s']
                                                              for r in of_config])))
        for figure in FIGURES:
            x = values(config, figure)
            row[figure] = dict(mean=x.mean(), sd=x.std(ddof=1) if len(x) > 1 else None,
                               values=x.tolist())
            if config != reference and len(x) > 1:
                row[figure]['minus_reference'] = _paired(x - values(reference, figure))
        methods[Path(config).stem] = row
    first = next(iter(runs.values()))[0]
    return dict(command=command, reference=Path(reference).stem,
                seeds=[run['seed'] for run in runs[reference]], epochs=first['epochs'],
                commit=sorted({run['commit'] or '?' for rs in runs.values() for run in rs}),
                versions=first['versions'], hardware=first['hardware'], methods=methods)


def _paired(difference: np.ndarray) -> dict[str, float]:
    """Mean of paired differences with the 95 % interval of Student's t."""
    n = len(difference)
    half = stats.t.ppf(0.975, n - 1) * difference.std(ddof=1) / np.sqrt(n)
    mean = difference.mean()
    return dict(mean=mean, low=mean - half, high=mean + half)


def markdown_table(summary: dict[str, Any]) -> str:
    """The table of a summary with the command above it."""
    def cell(figure: dict[str, Any]) -> str:
        return f'{figure["mean"]:.2f}' + (f' ± {figure["sd"]:.2f}' if figure['sd'] is not None
                                          else '')

    reference = summary['reference']
    lines = ['```', summary['command'], '```', '',
             f'Last-epoch accuracy in %, mean ± standard deviation over {len(summary["seeds"])} '
             f'seeds, {summary["epochs"]} epochs; the last column is the difference in `all` to '
             f'`{reference}`, paired by seed, with its 95 % interval. Commit '
             f'{", ".join(commit[:10] for commit in summary["commit"])}.', '',
             f'| config | all | many | medium | few | all minus `{reference}` |',
             '| --- | --- | --- | --- | --- | --- |']
    for name, row in summary['methods'].items():
        paired = row['shot/all'].get('minus_reference')
        if paired is None:
            verdict = '-'
        else:
            verdict = f'{paired["mean"]:+.2f} [{paired["low"]:+.2f}, {paired["high"]:+.2f}]'
            if paired['low'] <= 0 <= paired['high']:
                verdict += ', within noise'
        lines.append(f'| `{name}` | ' + ' | '.join(cell(row[f]) for f in FIGURES)
                     + f' | {verdict} |')
    return '\n'.join(lines)


def update_section(file: Path, name: str, text: str) -> None:
    """Replaces what stands between ``<!-- name -->`` and ``<!-- /name -->``."""
    start, end = f'<!-- {name} -->', f'<!-- /{name} -->'
    page = file.read_text(encoding='utf-8')
    if start not in page or end not in page:
        raise SystemExit(f'{file} has no lines {start} and {end}')
    before, after = page.split(start)[0], page.split(end)[1]
    file.write_text(f'{before}{start}\n{text}\n{end}{after}', encoding='utf-8')


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point of ``tools/compare.py``."""
    args = parse_args(argv)
    if args.markdown and not args.out:
        raise SystemExit('--markdown needs --out FILE.json')
    given = sys.argv[1:] if argv is None else list(argv)
    summary = summarise(train_all(args), shlex.join(['python', 'tools/compare.py', *given]))
    table = markdown_table(summary)
    print(table)
    if args.out:
        Path(args.out).parent.mkdir(parents=True, exist_ok=True)
        Path(args.out).write_text(json.dumps(summary, indent=1) + '\n')
    if args.markdown:
        update_section(Path(args.markdown), Path(args.out).stem, table)
