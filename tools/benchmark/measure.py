"""What the benchmarks share: alternating timings, their summary, and the result file."""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import random
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).parents[2]


def parser(doc: str, name: str) -> argparse.ArgumentParser:
    """Options of every benchmark.

    Args:
        doc: what it measures.
        name: of the result file.
    """
    made = argparse.ArgumentParser(description=doc,
                                   formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    made.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    made.add_argument('--rounds', type=int, default=40, help='times that each is measured, in turn')
    made.add_argument('--threads', type=int, default=os.cpu_count(), help='of torch, on a CPU')
    made.add_argument('--out', type=Path, help='result file; docs/performance.md is made of those '
                      f'in docs/performance: {name}.json, and {name}-gpu.json of a GPU')
    made.set_defaults(name=name)
    return made


def start(args: argparse.Namespace) -> torch.device:
    """Sets threads and seeds, and says what cannot be measured here."""
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    if args.device == 'cpu' and not torch.cuda.is_available():
        print('no NVIDIA GPU here: measured on the CPU; run it again where there is one')
    return torch.device(args.device)


def alternate(candidates: dict[str, Callable[[], Any]], rounds: int, device: torch.device,
              warm_up: int = 3) -> dict[str, list[float]]:
    """Seconds of each candidate, measured once in each round, in a random order.

    A machine whose speed drifts so slows all of them alike: compare within rounds.
    """
    order = list(candidates)
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    generator = random.Random(0)
    for number in range(-warm_up, rounds):
        generator.shuffle(order)
        for name in order:
            _wait(device)
            begin = time.perf_counter()
            candidates[name]()
            _wait(device)
            if number >= 0:
                seconds[name].append(time.perf_counter() - begin)
    return seconds


def _wait(device: torch.device) -> None:
    if device.type == 'cuda':
        torch.cuda.synchronize(device)


def summary(values: Sequence[float]) -> dict[str, float]:
    """Median, its 95 % interval (all values, where they are fewer than 6), and the quartiles."""
    ordered, n = sorted(values), len(values)
    margin = _left_out(n)
    quartiles = statistics.quantiles(ordered, n=4) if n > 1 else [ordered[0]] * 3
    return dict(median=statistics.median(ordered), low=ordered[margin],
                high=ordered[n - 1 - margin], q1=quartiles[0], q3=quartiles[2])


def _left_out(n: int) -> int:
    """Of n sorted values, how many at either end a 95 % interval of the median may leave out.

    It misses the median if so many and one more lie beyond it, by the binomial law of n coins.
    """
    margin, beyond = 0, 1 + n  # of 2^n outcomes, those with at most margin + 1 heads
    while 40 * beyond <= 2 ** n:  # 5 %, half of it at either end
        margin += 1
        beyond += math.comb(n, margin + 1)
    return margin


def ratio(seconds: dict[str, list[float]], name: str, to: str) -> dict[str, float]:
    """Summary of how many times as long one takes as another, round by round."""
    return summary([mine / other for mine, other in zip(seconds[name], seconds[to])])


def shown(value: dict[str, float], scale: float = 1.0, digits: int = 2) -> str:
    """``median [low, high]``."""
    low, median, high = (f'{value[key] * scale:.{digits}f}' for key in ('low', 'median', 'high'))
    return f'{median} [{low}, {high}]'


def save(args: argparse.Namespace, rows: list[dict], **more: Any) -> None:
    """Writes the result file: command, machine, versions, commit and rows."""
    options = {key: value.name if isinstance(value, Path) else value
               for key, value in vars(args).items() if key not in ('out', 'name')}
    device = torch.device(args.device)
    content = dict(options=options, machine=machine(device), **more, rows=rows)
    out = args.out or ROOT / 'docs' / 'performance' / (
        args.name + ('-gpu' if device.type == 'cuda' else '') + '.json')
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(content, indent=1) + '\n')
    print(f'written to {out}')


def machine(device: torch.device) -> dict[str, Any]:
    """What was measured on, and with what."""
    try:
        done = subprocess.run(['git', 'describe', '--always', '--dirty'], cwd=ROOT,
                              capture_output=True, text=True, check=True)
        commit = done.stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        commit = 'unknown'
    return dict(
        processor=_processor(), cores=os.cpu_count(),
        gpu=torch.cuda.get_device_name(device) if device.type == 'cuda' else None,
        threads=torch.get_num_threads(), torch=torch.__version__,
        python=platform.python_version(), commit=commit)


def _processor() -> str:
    try:
        lines = Path('/proc/cpuinfo').read_text().splitlines()
        return next(line.split(':')[1].strip() for line in lines if line.startswith('model name'))
    except (OSError, StopIteration):
        return platform.processor() or 'unknown'
