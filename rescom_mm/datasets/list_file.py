"""Reads annotation lists of ``relative/path label`` lines, and lists of class names."""

from __future__ import annotations

import codecs
import logging
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from mmengine import fileio
from mmengine.logging import print_log

#: another spelling of a folder in a list, from the folder and the label of what lies in it; None
#: where it has none
Spelling = Callable[[str, int], 'str | None']

_LINE = re.compile(r'(.*[^ \t])[ \t]+(-?[0-9]+)', re.DOTALL)
# not splitlines(): it also splits where a file name may hold an unusual blank
_LINE_END = re.compile('\r\n|\r|\n')
# how many of the first images may be missing before the folder is taken to be the wrong one
_PROBES = 10


def read_list_file(ann_file: str | Path, data_root: str | Path, num_classes: int | None,
                   spellings: Sequence[Spelling] = (), source: str = '') -> list[dict]:
    """Reads a list of image files and their labels.

    Blank lines, a byte order mark, and the line ends of Windows are passed over; tabs may stand
    before the label in place of blanks. An image that is listed twice is delivered twice, and
    counts as one image; a warning says so. Of the images only the first few are looked for.

    Args:
        ann_file: the list, one ``relative/path label`` a line, in UTF-8.
        data_root: what the paths are relative to.
        num_classes: labels must lie in 0 ... num_classes - 1; None: any is accepted.
        spellings: other ways to write the folders; the first one under which one of the first
            images exists is taken for all, if none exists as the list writes it.
        source: where the list comes from, for the error that it is missing.

    Returns:
        A dict of ``img_path`` and ``gt_label`` for each line.

    Raises:
        FileNotFoundError: if the list, the folder or all of the first images do not exist.
        ValueError: for a malformed line, or one that contradicts another, with its number.
    """
    if not _there(data_root, os.path.isdir):
        raise FileNotFoundError(f'data_root={str(data_root)!r} does not exist; set data_root of '
                                'the dataset to the folder of the images')
    if not _there(ann_file, os.path.isfile):
        raise FileNotFoundError(f'ann_file={str(ann_file)!r} does not exist; set ann_file of the '
                                'dataset to the list of images'
                                + (f' (it comes from {source})' if source else ''))
    entries = list_entries(ann_file, num_classes)
    root = str(data_root)
    spelling = None
    if '://' not in root:
        spelling = _find_spelling(entries[:_PROBES], root, spellings, str(ann_file))
    if spelling is not None:
        entries = _respell(entries, spelling, str(ann_file))
    _check_repeated(entries, str(ann_file))
    prefix = os.path.join(root, '')  # os.path.join() of each path takes a second for 400,000
    return [dict(img_path=os.path.join(root, path) if path[0] == '/' or ':' in path
                 else prefix + path, gt_label=label) for _, path, label in entries]


def list_entries(ann_file: str | Path, num_classes: int | None) -> list[tuple[int, str, int]]:
    """As :func:`parse_list`, of a file."""
    return parse_list(bytes(fileio.get(str(ann_file))), str(ann_file), num_classes)


def list_counts(ann_file: str | Path, num_classes: int) -> np.ndarray:
    """Number of lines of each label, ``[num_classes]``; raises as :func:`parse_list`."""
    labels = [label for _, _, label in list_entries(ann_file, num_classes)]
    return np.bincount(labels, minlength=num_classes)


def parse_list(data: bytes, name: str, num_classes: int | None) -> list[tuple[int, str, int]]:
    """Line number, path and label of each line of a list that is not blank.

    Args:
        data: content of the list.
        name: of the list, for errors.
        num_classes: as in :func:`read_list_file`.

    Raises:
        ValueError: with the name and the number of the line.
    """
    allowed = 'an integer from 0 on' if num_classes is None else f'0 ... {num_classes - 1}'
    most = 10**18 if num_classes is None else num_classes
    entries = []
    for number, line in enumerate(_lines(data, name), 1):
        line = line.strip(' \t')
        path, _, digits = line.rpartition(' ')
        # most lines, in half the time
        if (path and path[-1] not in ' \t' and digits.isascii() and digits.isdigit()
                and len(digits) <= 18 and int(digits) < most):
            entries.append((number, path, int(digits)))
            continue
        if not line:
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise ValueError(f'{name}:{number}: expected "relative/path label", the label '
                             f'{allowed}, got {_short(line)}')
        path, digits = match.groups()
        if digits.startswith('-') or len(digits) > 18 or int(digits) >= most:
            raise ValueError(f'{name}:{number}: label {digits[:20]} lies outside {allowed}; '
                             'correct the line')
        entries.append((number, path, int(digits)))
    if not entries:
        raise ValueError(f'{name} lists no image')
    return entries


def read_class_names(file: str | Path) -> tuple[str, ...]:
    """Class names of a file that has one a line, in UTF-8.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: for a blank line or a name that stands there twice, with the number.
    """
    if not _there(file, os.path.isfile):
        raise FileNotFoundError(f'classes={str(file)!r} does not exist; set classes of the dataset '
                                'to the names, or a file of them')
    name = str(file)
    lines = [line.strip(' \t') for line in _lines(bytes(fileio.get(name)), name)]
    while lines and not lines[-1]:
        lines.pop()
    first: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        if not line:
            raise ValueError(f'{name}:{number}: blank, where a class name was expected; a class '
                             'id is the number of lines before its name')
        if line in first:
            raise ValueError(f'{name}:{number}: class {_short(line)} stands in line {first[line]} '
                             'already; remove one of them')
        first[line] = number
    if not first:
        raise ValueError(f'{name} lists no class')
    return tuple(first)


def _there(path: str | Path, is_kind: Callable[[str], bool]) -> bool:
    return '://' in str(path) or is_kind(str(path) or '.')


def _lines(data: bytes, name: str) -> list[str]:
    """Lines of a text, as editors number them."""
    data = data.removeprefix(codecs.BOM_UTF8)
    try:
        text = data.decode('utf-8')
    except UnicodeDecodeError as error:
        line = len(_LINE_END.findall(data[:error.start].decode('latin-1'))) + 1
        raise ValueError(f'{name}:{line}: no UTF-8 (byte 0x{data[error.start]:02x}); save the '
                         'file as UTF-8') from None
    zero = text.find('\0')
    if zero >= 0:
        raise ValueError(f'{name}:{len(_LINE_END.findall(text[:zero])) + 1}: a zero byte; is the '
                         'file damaged, or UTF-16? Save it as UTF-8')
    return _LINE_END.split(text) if '\r' in text else text.split('\n')


def _find_spelling(entries: Sequence[tuple[int, str, int]], root: str,
                   spellings: Sequence[Spelling], name: str) -> Spelling | None:
    """The spelling under which an image exists; None for the list's own."""
    tried: dict[str, None] = {}
    for number, path, label in entries:
        if os.path.isfile(os.path.join(root, path)):
            return None
        folder, _, file = path.rpartition('/')
        for spelling in spellings:
            new = spelling(folder, label)
            if new is None:
                continue
            if os.path.isfile(os.path.join(root, new, file)):
                return spelling
            if number == entries[0][0]:
                tried[f'{new}/{file}'] = None
    number, path, _ = entries[0]
    also = f'; tried, below it: {", ".join(tried)}' if set(tried) - {path} else ''
    more = f' nor the {len(entries) - 1} after it' if len(entries) > 1 else ''
    raise FileNotFoundError(f'{name}:{number}: {os.path.join(root, path)} does not exist{more}; is '
                            f'data_root={root!r} the folder that the paths of the list start from?'
                            f'{also}')


def _respell(entries: Sequence[tuple[int, str, int]], spelling: Spelling, name: str
             ) -> list[tuple[int, str, int]]:
    known: dict[tuple[str, int], str] = {}
    respelt = []
    for number, path, label in entries:
        folder, _, file = path.rpartition('/')
        if (folder, label) not in known:
            other = spelling(folder, label)
            if other is None:
                raise ValueError(f'{name}:{number}: {_short(path)} is written in another way than '
                                 'the first path of the list; write all alike')
            known[folder, label] = other
        respelt.append((number, f'{known[folder, label]}/{file}', label))
    return respelt


def repeated_lines(entries: Sequence[tuple[int, str, int]], name: str) -> list[tuple[int, int]]:
    """Lines that list an image again: their numbers, and those of the lines that have it first.

    Args:
        entries: of :func:`parse_list`.
        name: of the list, for errors.

    Raises:
        ValueError: if an image is listed under two labels.
    """
    first: dict[str, tuple[int, int]] = {}
    repeated = []
    for number, path, label in entries:
        line, other = first.setdefault(path, (number, label))
        if other != label:
            raise ValueError(f'{name}:{number}: {_short(path)} has label {label} here and {other} '
                             f'in line {line}; keep the one that is right')
        if line != number:
            repeated.append((number, line))
    return repeated


def _check_repeated(entries: Sequence[tuple[int, str, int]], name: str) -> None:
    """Says which images are listed twice; raises if it is under two labels."""
    repeated = repeated_lines(entries, name)
    if repeated:
        number, line = repeated[0]
        print_log(f'{name}:{number}: the same image as in line {line} ({len(repeated)} such lines);'
                  ' it counts as one image and is trained on as often as it is listed',
                  logger='current', level=logging.WARNING)


def _short(text: str, most: int = 80) -> str:
    return repr(text if len(text) <= most else text[:most] + '...')
