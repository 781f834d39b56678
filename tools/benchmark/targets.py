"""What the benchmarks must show, and which rows of a result file miss it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

Content = dict[str, Any]


class Target(NamedTuple):
    """A target, and the rows of a result file that miss it, in words.

    ``missed`` raises a ``LookupError`` where the file holds nothing that the target speaks of.
    """

    text: str
    missed: Callable[[Content], list[str]]


def _over(key: str, limit: Callable[[int], float], end: str = 'median',
          only: tuple[str, ...] = ()) -> Callable[[Content], list[str]]:
    """Rows of more than a limit, which may depend on the row's number."""
    def missed(content: Content) -> list[str]:
        few = [row['pairs'] for row in content['rows'] if row.get('pairs', 30) < 30]
        if few:
            raise LookupError(f'{few[0]} pairs, 30 are needed')
        rows = [(limit(i), row) for i, row in enumerate(content['rows'])
                if not only or row['case']['config'].startswith(only)]
        return _named((row, f'{row[key][end]:.3f}') for most, row in rows if row[key][end] > most)
    return missed


def _named(rows: Iterable[tuple[Content, str]]) -> list[str]:
    return [f'{name_of(row)}: {value}' for row, value in rows]


def name_of(row: Content) -> str:
    """A row's shape or case, in short."""
    if 'shape' in row:
        return '{classes} classes, {keys} keys, {rows} rows'.format(**row['shape'])
    if 'case' in row:
        return ', '.join(str(value) for value in row['case'].values())
    return str(row.get('config', 'all'))


def _slower_than_released(content: Content) -> list[str]:
    return _named((row, f'{row["released_over_ours"]["median"]:.2f}') for row in content['rows']
                  if row['released_over_ours']['median'] < 3)


def _slower_than_pillow(content: Content) -> list[str]:
    if any(row.get('images') == 'generated' for row in content['rows']):
        raise LookupError('of generated images alone')
    least = dict(cifar=4, imagenet=2)
    return [f'{row["recipe"]}: {row["over_pillow"]["median"]:.2f}' for row in content['rows']
            if row['over_pillow']['median'] < least[row['recipe']]]


def _waits(content: Content) -> list[str]:
    return _named((row, 'waits') for row in content['rows'] if row['waits'])


def _not_stock(content: Content) -> list[str]:
    return _named((row, f'{row["over_stock"]["median"]:.3f}') for row in content['rows']
                  if abs(row['over_stock']['median'] - 1) > 0.02)


def _state(content: Content) -> list[str]:
    row, = (row for row in content['states'] if (row['classes'], row['keys']) == (8142, 2))
    return [] if row['beyond_queue'] <= 256_000 else [f'{row["beyond_queue"]:,} bytes']


def _longer(what: str, limit: float) -> Callable[[Content], list[str]]:
    """Of a start, what takes more seconds than a limit."""
    def missed(content: Content) -> list[str]:
        medians = [row['seconds']['median'] for row in content['rows'] if row['what'] == what]
        if not medians:
            raise LookupError(f'there is no {what!r} in the file')
        return [f'{median:.2f} s' for median in medians if median > limit]
    return missed


def _whole_recipe(content: Content) -> list[str]:
    if not content['options']['full']:
        raise LookupError('the whole recipe was not run')
    return [f'{row["training"]:.0f} s' for row in content['rows'] if row['training'] > 180]


#: by result file
TARGETS: dict[str, list[Target]] = {
    'branch': [
        Target('median at most 1.5 x the floor, at the first shape 1.8 x',
               _over('over_floor', lambda i: 1.5 if i else 1.8)),
        Target('the released structure takes at least 3 x as long', _slower_than_released)],
    'branch-gpu': [
        Target('median at most 2 x the floor', _over('over_floor', lambda i: 2.0)),
        Target('nothing waits for the device', _waits)],
    'step': [
        Target('ResNet-50 and ResNet-32: upper end of the interval at most 1.05 x SiamBS',
               _over('over_siambs', lambda i: 1.05, 'high', ('rescom_r50', 'rescom_r32')))],
    'step-gpu': [
        Target('ResNet-50: upper end of the interval at most 1.02 x SiamBS',
               _over('over_siambs', lambda i: 1.02, 'high', ('rescom_r50',)))],
    'pipeline': [Target('ImageNet 2 x, CIFAR 4 x as many images a second and core as the whole '
                        'recipe on Pillow', _slower_than_pillow)],
    'epoch-gpu': [Target('the whole recipe in at most 3 minutes', _whole_recipe)],
    'inference': [Target('median 1.00 ± 0.02 x the stock classifier', _not_stock)],
    'inference-gpu': [Target('median 1.00 ± 0.02 x the stock classifier', _not_stock)],
    'memory': [Target('a checkpoint at 8,142 classes and 2 keys: the keys and 256 kB at most',
                      _state)],
    'startup': [
        Target('importing rescom_mm after mmpretrain takes at most 0.3 s',
               _longer('import rescom_mm after it', 0.3)),
        Target('the list of 437,513 images is read in at most 3 s',
               _longer('list of 437,513 images', 3))],
}
