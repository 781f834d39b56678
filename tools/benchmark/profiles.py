"""Where the time of ResCom goes beyond SiamBS: operations of a whole step, by difference.

Writes docs/performance/step-profile.txt, which the page shows below the timings.
"""

import rescom_mm  # noqa: F401  first: it readies the OpenMMLab stack  # isort: skip

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from measure import ROOT, parser, start
from step import BF16, CPU, GPU, Case
from torch.profiler import ProfilerActivity, profile
from workload import SIAMBS, read_config, training_step


def operations(step: Callable[[], Any], device: torch.device) -> Counter[str]:
    """Microseconds that each operation of a step takes by itself, on the device."""
    cuda = device.type == 'cuda'
    activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * cuda
    with profile(activities=activities) as profiler:
        step()
        if cuda:
            torch.cuda.synchronize(device)
    return Counter({event.key: event.self_device_time_total if cuda else event.self_cpu_time_total
                    for event in profiler.key_averages()})


def compared(case: Case, rounds: int, device: torch.device, lines: int = 12) -> list[str]:
    """The operations that take the most time more in a step with ResCom."""
    options = BF16 if device.type == 'cuda' else {}
    steps = [training_step(read_config(case.config, {**options, **parts}), case.px, case.images,
                           device) for parts in ({}, SIAMBS)]
    totals: list[Counter[str]] = [Counter(), Counter()]
    for number in range(-2, rounds):  # in turn, as the machine's speed may drift
        for step, total in zip(steps, totals):
            found = operations(step, device)
            if number >= 0:
                total.update(found)
    rescom, siambs = totals
    first = sorted({*rescom, *siambs}, key=lambda name: siambs[name] - rescom[name])[:lines]

    def line(one: float, other: float, name: str) -> str:
        one, other = one / rounds / 1e3, other / rounds / 1e3
        return f'{one:9.2f} {other:9.2f} {one - other:9.2f}  {name[:60]}'

    return [f'{case.config}, {case.px} px, 2 x {case.images} views: ms a step, ResCom, SiamBS, '
            'difference', *(line(rescom[name], siambs[name], name) for name in first),
            line(sum(rescom.values()), sum(siambs.values()), 'all'), '']


def main(argv: Sequence[str] | None = None) -> None:
    """Profiles all cases."""
    args = parser(__doc__ or '', 'step-profile').parse_args(argv)
    device, lines = start(args), []
    for case in GPU if device.type == 'cuda' else CPU:
        found = compared(case, min(args.rounds, 10), device)
        print('\n'.join(found), flush=True)
        lines += found
    name = 'step-gpu-profile.txt' if device.type == 'cuda' else 'step-profile.txt'
    out = args.out or Path(ROOT) / 'docs' / 'performance' / name
    out.write_text('\n'.join(lines) + '\n')


if __name__ == '__main__':
    main()
