"""Reads annotation lists of ``relative/path label`` lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def read_list_file(ann_file: str | Path, data_root: str | Path, num_classes: int) -> list[dict]:
    """Reads a list file of the long-tailed benchmarks.

    Args:
        ann_file: the list, one ``relative/path label`` a line.
        data_root: what the paths are relative to.
        num_classes: labels must lie in 0 ... num_classes - 1.

    Returns:
        A dict of ``img_path`` and ``gt_label`` for each line.

    Raises:
        FileNotFoundError: if the list, the folder or the first image does not exist.
        ValueError: for a malformed line, with its number.
    """
    if not Path(data_root).is_dir():
        raise FileNotFoundError(f'data_root={str(data_root)!r} does not exist; set data_root of '
                                'the dataset to the folder of the images')
    if not Path(ann_file).is_file():
        raise FileNotFoundError(f'ann_file={str(ann_file)!r} does not exist; set ann_file of the '
                                'dataset to the list of images')
    prefix = str(data_root).rstrip('/') + '/'
    items: list[dict[str, Any]] = []
    with open(ann_file, encoding='utf-8') as file:
        for number, line in enumerate(file, 1):
            line = line.strip()
            if not line:
                continue
            path, _, label_text = line.rpartition(' ')
            if not path or not label_text.isdecimal():
                raise ValueError(f'{ann_file}:{number}: expected "relative/path label", got '
                                 f'{line!r}')
            label = int(label_text)
            if label >= num_classes:
                raise ValueError(f'{ann_file}:{number}: label {label} lies outside 0 ... '
                                 f'{num_classes - 1}; correct the line')
            items.append(dict(img_path=prefix + path.strip(), gt_label=label))
    if not items:
        raise ValueError(f'{ann_file} lists no image')
    if not Path(items[0]['img_path']).is_file():
        raise FileNotFoundError(f'{ann_file}:1: {items[0]["img_path"]} does not exist; is '
                                f'data_root={str(data_root)!r} the folder that the paths of the '
                                'list start from?')
    return items
