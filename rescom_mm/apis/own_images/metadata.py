"""``metadata.csv`` and ``metadata.jsonl`` of Hugging Face's ``imagefolder`` layout."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .folders import Named

_NAMES = ('metadata.csv', 'metadata.jsonl')


def find_metadata(folder: Path) -> Path | None:
    """The metadata file of a folder of images; None where there is none."""
    return next((folder / name for name in _NAMES if (folder / name).is_file()), None)


def read_metadata(file: Path, label_column: str) -> Named:
    """Images and class names of a metadata file; the paths start at its folder.

    Args:
        file: a table with a line of column names, or a JSON object a line; UTF-8. It has a column
            ``file_name``, and one of class names or numbers.
        label_column: its name.

    Raises:
        ValueError: with file and line, where it is malformed, lacks a column or a value, gives an
            image two labels, or names one outside its folder.
    """
    try:
        text = file.read_bytes().decode('utf-8-sig')
    except UnicodeDecodeError as error:
        raise ValueError(f'{file}: no UTF-8; save the file as UTF-8') from error
    rows = _csv_rows(text, file) if file.suffix == '.csv' else _json_rows(text, file)
    first: dict[str, tuple[int, str]] = {}
    for number, row in rows:
        values = []
        for column in ('file_name', label_column):
            if column not in row:
                columns = ', '.join(str(name) for name in row) or 'none'
                raise ValueError(
                    f'{file}:{number}: no column {column!r} (there are: {columns}); '
                    + ('name the column of the classes with --label-column'
                       if column == label_column else 'it holds the path of each image'))
            values.append(_value(row[column], column, f'{file}:{number}'))
        path, label = os.path.normpath(values[0]), values[1]
        if os.path.isabs(path) or path.split(os.sep)[0] == os.pardir:
            raise ValueError(f'{file}:{number}: {values[0]!r} lies outside {file.parent}; move the '
                             'image there, or give a list file in the place of the folder')
        line, other = first.setdefault(path, (number, label))
        if other != label:
            raise ValueError(f'{file}:{number}: {path!r} has label {label!r} here and {other!r} in '
                             f'line {line}; keep the one that is right')
    if not first:
        raise ValueError(f'{file} lists no image')
    return [(path, label) for path, (_, label) in first.items()]


def _csv_rows(text: str, file: Path) -> Iterator[tuple[int, dict]]:
    reader = csv.DictReader(io.StringIO(text, newline=''))
    try:
        for row in reader:
            if None in row:
                raise ValueError(f'{file}:{reader.line_num}: more values than column names; put '
                                 'values that have a comma between quotes')
            yield reader.line_num, row
    except csv.Error as error:
        raise ValueError(f'{file}:{reader.line_num}: {error}') from error


def _json_rows(text: str, file: Path) -> Iterator[tuple[int, dict]]:
    for number, line in enumerate(text.split('\n'), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise ValueError(f'{file}:{number}: no JSON object: {error}') from error
        if not isinstance(row, dict):
            raise ValueError(f'{file}:{number}: expected a JSON object, got {line[:80]}')
        yield number, row


def _value(value: Any, column: str, where: str) -> str:
    """Text of a file name or class, numbers as their digits."""
    if isinstance(value, bool) or not isinstance(value, (str, int)) or value == '':
        raise ValueError(f'{where}: {column} must be one name or whole number, got {value!r}')
    return str(value)
