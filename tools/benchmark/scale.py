"""The arithmetic of docs/scale.md; run, it writes the page's tables anew."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

PAGE = Path(__file__).resolve().parents[2] / 'docs' / 'scale.md'
F32 = 4  # bytes
FEATURES = 2048  # of ResNet-50
WEIGHTS = 23_508_032  # of ResNet-50, without a classifier
ALLREDUCE = 2 * F32 * WEIGHTS  # bytes that a process receives, by a ring about so many
MACS = 4.09e9  # of ResNet-50 and an image of 224 x 224 pixels, forward


class Case(NamedTuple):
    """C classes, K keys a class, d, B images a process, K+, K-, and W processes."""

    classes: int
    keys: int
    dim: int
    images: int
    positives: int
    negatives: int
    world: int


class Hardware(NamedTuple):
    """Assumed, not measured: what an accelerator and its link do."""

    link: float = 50e9  # bytes received a second: 400 Gbit/s for each
    latency: float = 20e-6  # seconds a collective, beyond its bytes
    flops: float = 50e12  # float32 products a second, without tensor cores
    memory: float = 3e12  # bytes a second


CASES = {
    'CIFAR-100-LT': Case(100, 10, 32, 128, 1, 400, 1),
    'ImageNet-LT': Case(1000, 4, 128, 32, 1, 500, 8),
    'iNaturalist 2018': Case(8142, 2, 128, 32, 1, 500, 8),
    '10^5 classes': Case(100_000, 4, 128, 32, 1, 500, 64),
    '10^6 classes': Case(1_000_000, 4, 128, 32, 1, 500, 64)}
LARGE = CASES['10^6 classes']


def similarities(case: Case) -> int:
    """Bytes of one copy of ``[2B, 2B + CK]``."""
    return F32 * 2 * case.images * (2 * case.images + case.classes * case.keys)


def queue(case: Case) -> int:
    """Bytes of the keys, ``CKd``."""
    return F32 * case.classes * case.keys * case.dim


def gather(case: Case) -> int:
    """Bytes that a process receives in a step: W times B keys and labels."""
    return F32 * case.world * case.images * (case.dim + 1)


def product(case: Case) -> int:
    """Floating-point operations of the similarities; the mined gradient is small beside it."""
    return 2 * 2 * case.images * case.classes * case.keys * case.dim


def encoder(case: Case) -> float:
    """Floating-point operations of ResNet-50 on ``2B`` images of 224 pixels, with gradients."""
    return 3 * 2 * MACS * 2 * case.images


def mining(case: Case) -> int:
    """Bytes that the mining reads at least: each similarity once."""
    return F32 * 2 * case.images * case.classes * case.keys


def table_of_released(case: Case) -> int:
    """Bytes of the released code's index table."""
    return 8 * case.classes * (case.classes - 1) * case.keys


def sharded_bytes(case: Case) -> dict[str, int]:
    """Bytes that a process receives in a step with a queue sharded by class, its own included.

    What ``sharded.py`` sends: rows of both views and labels; K+ and K- similarities of each shard;
    four numbers an anchor; the sums of the gradients.
    """
    rows = 2 * case.images * case.world
    return {'projections and labels': F32 * rows * (case.dim + 1),
            'similarities': F32 * rows * (case.positives + case.negatives),
            'thresholds and softmax': F32 * rows * 4,
            'gradients': F32 * rows * case.dim}


def begins(fraction: float = 0.01, memory: int = 2**30) -> list[list[str]]:
    """Where each term reaches a hundredth of what ResNet-50 takes anyway, or 1 GiB."""
    case = LARGE
    per_key = product(case) / (case.classes * case.keys)
    return [
        ['similarities, operations', '`2 · 2B · CK · d`', '1 % of ResNet-50\'s',
         f'CK = {number(fraction * encoder(case) / per_key)}'],
        ['similarities, memory', '`2B · CK · 4` a copy', '1 GiB',
         f'CK = {number(memory / (F32 * 2 * case.images))}'],
        ['mining, bytes read', '`2B · CK · 4`', '1 ms at the memory\'s speed',
         f'CK = {number(1e-3 * Hardware().memory / (F32 * 2 * case.images))}'],
        ['queue', '`CK · d · 4`', '1 GiB', f'CK = {number(memory / (F32 * case.dim))}'],
        ['gather', '`W · B · (d + 1) · 4`', '1 % of the all-reduce of ResNet-50\'s gradients',
         f'W = {number(fraction * ALLREDUCE / (gather(case) / case.world))}'],
        ['index table (released code)', '`8 · C (C - 1) K`', '1 GiB',
         f'C = {number((memory / (8 * case.keys)) ** 0.5)}']]


def number(value: float) -> str:
    """Two digits that count."""
    digits = len(str(int(value))) - 2
    return f'{round(value, -digits):,.0f}' if digits > 0 else f'{value:.0f}'


def size(count: float) -> str:
    """Bytes in a unit of ten."""
    for unit, scale in (('TB', 1e12), ('GB', 1e9), ('MB', 1e6), ('kB', 1e3)):
        if count >= scale:
            return f'{count / scale:.3g} {unit}'
    return f'{count:.0f} B'


def terms() -> list[str]:
    """The terms of the benchmarks, and beyond them."""
    return markdown(['', 'C', 'K', 'd', 'B', 'W', 'similarities, a copy', 'queue', 'gather a step',
                     'operations / ResNet-50\'s', 'released index table'], [
        [name, f'{case.classes:,}', str(case.keys), str(case.dim), str(case.images),
         str(case.world), size(similarities(case)), size(queue(case)), size(gather(case)),
         f'{product(case) / encoder(case):.2%}', size(table_of_released(case))]
        for name, case in CASES.items()])


def assumptions() -> list[str]:
    """What the table of 64 processes assumes."""
    hardware, case = Hardware(), LARGE
    return [f'Assumed: C = {case.classes:,}, K = {case.keys}, d = {case.dim}, B = {case.images} '
            f'images (2B = {2 * case.images} rows) a GPU, K+ = {case.positives}, '
            f'K- = {case.negatives}, W = {case.world} GPUs; float32; each GPU receives '
            f'{size(hardware.link)}/s (400 Gbit/s), a collective takes {hardware.latency * 1e6:.0f}'
            f' µs beyond its bytes, products run at {hardware.flops / 1e12:.0f} TFLOP/s and memory '
            f'at {size(hardware.memory)}/s. None of this was measured.']


def million() -> list[str]:
    """10^6 classes on 64 GPUs, replicated and sharded, for each GPU."""
    case, hardware = LARGE, Hardware()
    moved = sharded_bytes(case)
    total = sum(moved.values())

    def seconds(count: int, collectives: int) -> str:
        return f'{(count / hardware.link + collectives * hardware.latency) * 1e3:.2f} ms'

    same = [size(similarities(case))] * 2
    head = F32 * case.classes * FEATURES
    rows = [['keys', size(queue(case)), size(queue(case) / case.world)],
            ['similarities, a copy', *same],
            ['operations of the similarities', *[f'{product(case) / 1e9:.0f} GFLOP'] * 2],
            ['their time', *[f'{product(case) / hardware.flops * 1e3:.1f} ms'] * 2],
            ['mining, one read', *[f'{mining(case) / hardware.memory * 1e3:.2f} ms'] * 2],
            ['collectives a step', '1', str(len(moved))],
            ['received: keys, labels', size(gather(case)), 'with the projections'],
            *([f'received: {name}', '-', size(count)] for name, count in moved.items()),
            ['received in all', size(gather(case)), size(total)],
            ['their time', seconds(gather(case), 1), seconds(total, len(moved))],
            ['for comparison: all-reduce of ResNet-50\'s gradients', *[size(ALLREDUCE)] * 2],
            ['queue in a checkpoint', size(queue(case)), size(queue(case))],
            ['for comparison: weights of a linear classifier', *[size(head)] * 2],
            ['with their gradients and momentum', *[size(3 * head)] * 2]]
    return markdown(['for each GPU', 'replicated', 'sharded by class'], rows)


def markdown(titles: list[str], rows: list[list[str]]) -> list[str]:
    """A table."""
    return ['| ' + ' | '.join(titles) + ' |', '| --- ' * len(titles) + '|',
            *('| ' + ' | '.join(row) + ' |' for row in rows)]


PARTS: dict[str, Callable[[], list[str]]] = {
    'terms': terms, 'assumptions': assumptions, 'million': million,
    'begins': lambda: markdown(['term', 'size', 'reaches', 'at'], begins())}


def filled(page: str) -> str:
    """The page with its tables written anew, between ``<!-- name -->`` and ``<!-- /name -->``."""
    for name, part in PARTS.items():
        begin, end = f'<!-- {name} -->', f'<!-- /{name} -->'
        if page.count(begin) != 1 or page.count(end) != 1:
            raise ValueError(f'{PAGE}: {begin} and {end} must each be there once')
        head, _, rest = page.partition(begin)
        page = '\n'.join([head + begin, *part(), end + rest.partition(end)[2]])
    return page


if __name__ == '__main__':
    argparse.ArgumentParser(description=__doc__).parse_args()
    PAGE.write_text(filled(PAGE.read_text()))
    print('wrote', PAGE)
