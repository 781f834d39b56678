"""What ``tools/data/inspect.py`` says about the images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from ...evaluation.metrics import shot_groups
from .decode import HUGE, Checked
from .sources import ImageSource

#: many > 100, medium 20 to 100, few < 20: those of ShotAccuracy
THRESHOLDS = (20, 100)
_MOST_ROWS = 30
_BAR = 40  # letters of the longest bar
_KINDS = {'RGB': 'colour', 'L': 'grey', 'LA': 'grey with transparency', '1': 'black and white',
          'RGBA': 'colour with transparency', 'P': 'palette', 'I;16': '16-bit grey',
          'I': '32-bit grey', 'F': 'floats'}
_NARROW = 20  # ratio of the sides


def class_table(names: Sequence[str], columns: Mapping[str, np.ndarray], all_rows: bool
                ) -> list[str]:
    """Lines of a text table of class sizes, the largest class first, with bars.

    Args:
        names: of the classes.
        columns: title and ``[C]`` figures; the first one orders the classes and has the bars,
            whose length is logarithmic.
        all_rows: else of many classes the middle is left out.
    """
    first = next(iter(columns.values()))
    order = np.argsort(-first, kind='stable').tolist()
    groups = {int(c): group for group, members in shot_groups(first.tolist(), THRESHOLDS).items()
              for c in members}
    scale = _BAR / np.log1p(max(int(first.max()), 1))
    rows = [('class', *columns, 'group', '')]
    rows += [(names[c], *(str(figures[c]) for figures in columns.values()), groups[c],
              '#' * round(scale * np.log1p(first[c]))) for c in order]
    if len(order) > _MOST_ROWS and not all_rows:
        half, left = _MOST_ROWS // 2, len(order) - _MOST_ROWS
        gap = (f'... {left} classes between (--all-classes shows them)', *[''] * len(columns),
               '', '')
        rows = [*rows[:half + 1], gap, *rows[-half:]]
    widths = [max(len(row[i]) for row in rows if not row[0].startswith('... '))
              for i in range(len(rows[0]))]
    last = len(columns)
    return ['  '.join(cell.rjust(width) if 0 < i <= last else cell.ljust(width)
                      for i, (cell, width) in enumerate(zip(row, widths))).rstrip()
            for row in rows]


def group_lines(counts: np.ndarray) -> list[str]:
    """Shot groups and the imbalance factor."""
    low, high = THRESHOLDS
    meaning = dict(many=f'many (> {high})', medium=f'medium ({low} to {high})',
                   few=f'few (< {low})')
    lines = [f'{meaning[group]:18} {len(members):5} class{"es"[:2 * (len(members) != 1)]:2} '
             f'{int(counts[members].sum()):8} images'
             for group, members in shot_groups(counts.tolist(), THRESHOLDS).items()]
    return [*lines, f'imbalance factor {counts.max() / counts.min():g} (largest class '
                    f'{counts.max()}, smallest {counts.min()})']


def image_lines(checked: Sequence[Checked]) -> list[str]:
    """Sizes and kinds of the images that can be read."""
    good = [image for image in checked if not image.reason]
    if not good:
        return []
    sides = np.array([(image.width, image.height) for image in good])
    (small_w, small_h), (large_w, large_h) = (
        sides[sides.prod(axis=1).argmin()], sides[sides.prod(axis=1).argmax()])
    size = f'{small_w} x {small_h}'
    if (small_w, small_h) != (large_w, large_h):
        size += f' to {large_w} x {large_h}'
    kinds = ', '.join(f'{number} {_KINDS.get(mode, mode)}' for mode, number
                      in Counter(image.mode for image in good).most_common())
    return [f'{len(good)} images can be read, of {size} pixels (median of the short side '
            f'{int(np.median(sides.min(axis=1)))}): {kinds}. Training takes all as colours, '
            'without transparency']


def class_warnings(source: ImageSource) -> list[str]:
    """What classes lack."""
    counts, found = source.counts(), []
    for size, meaning in ((1, 'it is trained on' + ('' if source.is_split else
                                                    ', and none is left to test on')),
                          (2, 'both are trained on' if source.is_split else
                           'one is trained on, one tested on')):
        members = np.flatnonzero(counts == size)
        if members.size:
            found.append(f'{_classes(source, members)} with {size} image{"s" * (size > 1)}: '
                         f'{meaning}; more images would help most here')
    if source.is_split:
        missing = np.flatnonzero(source.counts('test') == 0)
        if missing.size:
            found.append(f'{_classes(source, missing)} without a test image: trained, but not '
                         'measured')
        test = source.counts('test')
        present = test[test > 0]
        if present.size and present.max() > 2 * present.min():
            found.append(f'the test set is not balanced ({present.min()} to {present.max()} images '
                         'a class): read the shot groups, which are means over classes, rather '
                         'than `all`')
    alike: dict[str, list[str]] = {}
    for name in source.classes:
        alike.setdefault(' '.join(name.casefold().replace('_', ' ').split()), []).append(name)
    found += [f'classes {", ".join(map(repr, names))} have almost the same name: are they one?'
              for names in alike.values() if len(names) > 1]
    return found


def file_warnings(source: ImageSource, checked: Mapping[str, Checked]) -> list[str]:
    """What is wrong with files: unreadable, huge, the same under two labels or in two parts."""
    found = []
    bad = {path: image.reason for path, image in checked.items() if image.reason}
    if bad:
        found.append(f'{number_of(len(bad), "image")} cannot be read and {_is(len(bad))} left out: '
                     + _few([f'{path!r} ({reason})' for path, reason in bad.items()], '; '))
    huge = [path for path, image in checked.items() if image.width * image.height >= HUGE]
    if huge:
        found.append(f'{number_of(len(huge), "image")} of more than {HUGE // 10**6} million '
                     'pixels, decoded anew in each epoch; smaller copies train faster: '
                     + _few([repr(path) for path in huge]))
    narrow = [path for path, image in checked.items()
              if max(image.width, image.height) > _NARROW * max(1, min(image.width, image.height))]
    if narrow:
        found.append(f'{number_of(len(narrow), "image")} more than {_NARROW} times as long as '
                     'wide: a crop shows little of it, and scaling its short side up takes memory: '
                     + _few([repr(path) for path in narrow]))
    if source.left_out:
        found.append('files left out for their ending: ' + ', '.join(
            f'{number} {ending}' for ending, number in source.left_out.most_common(8)))
    return found + _same_files(source, checked)


def _same_files(source: ImageSource, checked: Mapping[str, Checked]) -> list[str]:
    first: dict[bytes, tuple[str, int, str]] = {}
    pairs: dict[str, list[str]] = dict(labels=[], parts=[], same=[])
    for split, part in source.parts.items():
        for path, label in zip(part.paths, part.labels.tolist()):
            digest = checked[path].digest if path in checked else b''
            if not digest:
                continue
            other, its_label, its_split = first.setdefault(digest, (path, label, split))
            kind = ('labels' if its_label != label else 'parts' if its_split != split
                    else '' if other == path else 'same')
            if kind:
                pairs[kind].append(f'{path!r} and {other!r}')
    says = dict(labels='the same file under two classes, one of them wrong',
                parts='the same file to train and to test on, which makes the figures too good',
                same='the same file twice in a class')
    return [f'{says[kind]} ({number_of(len(found), "time")}): {_few(found, "; ")}'
            for kind, found in pairs.items() if found]


def _classes(source: ImageSource, members: np.ndarray) -> str:
    return (f'{number_of(len(members), "class", "classes")} '
            f'({_few([source.classes[c] for c in members])})')


def _few(names: Sequence[str], between: str = ', ', most: int = 5) -> str:
    more = f'{between}and {len(names) - most} more' if len(names) > most else ''
    return between.join(names[:most]) + more


def number_of(number: int, name: str, plural: str = '') -> str:
    """A number and its noun."""
    return f'{number} {name if number == 1 else plural or name + "s"}'


def _is(number: int) -> str:
    return 'is' if number == 1 else 'are'
