"""How time and memory of the contrastive branch grow: with C, K, B, and the number of processes W.

One of them at a time, on a full queue. Other processes are simulated: the keys that a process
writes in a step are those gathered from W, its anchors its own. Exponents are slopes of straight
lines fitted to logarithms: over all values, and over the largest three, where a constant cost of
the step no longer hides the growth.
"""

import rescom_mm  # noqa: F401  first: it readies the OpenMMLab stack  # isort: skip

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from branch import Branch, Shape
from measure import alternate, parser, save, shown, start, summary
from memory import peak

BASE = Shape(classes=1000, keys=4, rows=64, dim=128, positives=1, negatives=100, written=32)
VALUES = {'C': [100, 1000, 10_000, 100_000, 1_000_000], 'K': [1, 4, 16, 64, 256],
          'B': [8, 32, 128, 512, 2048], 'W': [1, 4, 16, 64, 256, 1024]}


def shape(variable: str, value: int) -> Shape:
    """The shape with one variable changed.

    Args:
        variable: C classes (at two keys each), K keys a class, B images of two rows, or W
            processes.
        value: of it.
    """
    if variable == 'C':
        return BASE._replace(classes=value, keys=2)
    if variable == 'K':
        return BASE._replace(keys=value)
    if variable == 'B':
        return BASE._replace(rows=2 * value, written=value)
    return BASE._replace(written=BASE.written * value)


def needs(of: Shape) -> int:
    """Bytes to build and run a shape: keys and two random copies, and similarities, at most 5."""
    return 4 * (3 * of.classes * of.keys * of.dim + 5 * of.rows * (of.rows + of.classes * of.keys))


def available(device: torch.device) -> int:
    """Bytes of memory that are free."""
    if device.type == 'cuda':
        return torch.cuda.mem_get_info(device)[0]
    return os.sysconf('SC_AVPHYS_PAGES') * os.sysconf('SC_PAGE_SIZE')


def exponent(values: Sequence[float], costs: Sequence[float]) -> float:
    """Slope of the straight line through the logarithms."""
    return float(np.polyfit(np.log(values), np.log(costs), 1)[0])


def exponents(points: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Exponents of time and memory, over all points and over the last three."""
    values = [point['value'] for point in points]
    found = {}
    for name, costs in (('time', [point['seconds']['median'] for point in points]),
                        ('memory', [point['bytes'] for point in points])):
        found[name] = exponent(values, costs)
        found[f'{name}_last'] = exponent(values[-3:], costs[-3:])
    return found


def grow(variable: str, rounds: int, device: torch.device) -> dict[str, Any]:
    """Measures all values of a variable that the memory has room for."""
    points = []
    for value in VALUES[variable]:
        of = shape(variable, value)
        if needs(of) > available(device):
            print(f'{variable}={value}: left out, it needs {needs(of) / 2**30:.1f} GiB')
            break
        branch = Branch(of, device)
        seconds = summary(alternate({'step': branch.ours}, rounds, device)['step'])
        most, keys = peak(branch.ours, device), 4 * len(branch.queue) * of.dim
        points.append(dict(value=value, seconds=seconds, bytes=most, queue_bytes=keys))
        print(f'{variable}={value}: {shown(seconds, 1e3)} ms, {most / 2**20:.1f} MiB beside a '
              f'queue of {keys / 2**20:.1f} MiB', flush=True)
    return dict(variable=variable, points=points, exponents=exponents(points))


def main(argv: Sequence[str] | None = None) -> None:
    """Measures the growth with each variable."""
    args = parser(__doc__ or '', 'growth').parse_args(argv)
    device = start(args)
    rows = []
    for variable in VALUES:
        rows.append(grow(variable, args.rounds, device))
        print(f'{variable}: ' + ', '.join(f'{name} ~ {variable}^{value:.2f}' for name, value in
                                          rows[-1]['exponents'].items()), flush=True)
    save(args, rows, base=BASE._asdict())


if __name__ == '__main__':
    main()
