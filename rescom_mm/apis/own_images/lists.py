"""The files that stand for a split: lists, class names, and what cannot be read."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from .sources import ImageSource, list_source

CLASSES = 'classes.txt'
UNREADABLE = 'unreadable_images.txt'


def default_out(source: Path) -> Path:
    """Where the lists go: a folder itself, ``LIST_split`` beside a list file."""
    return source if source.is_dir() else source.with_name(f'{source.stem}_split')


def make_out(source: Path, out: Path | None) -> Path:
    """The folder for the lists, made where it is missing: ``out``, else :func:`default_out`.

    Raises:
        OSError: in one line, if nothing can be written there.
    """
    folder = out or default_out(source)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(f'{folder} cannot be made ({error.strerror}); give another --out') from error
    if not os.access(folder, os.W_OK):
        raise PermissionError(f'{folder} cannot be written to; give --out FOLDER for the lists')
    return folder


def list_texts(source: ImageSource) -> dict[str, str]:
    """Names and contents of the lists of a source's parts, and of the class names."""
    texts = {f'{split}.txt': ''.join(f'{path} {label}\n' for path, label
                                     in zip(part.paths, part.labels.tolist()))
             for split, part in source.parts.items()}
    return {**texts, CLASSES: ''.join(f'{name}\n' for name in source.classes)}


def split_lists(out: Path, root: Path) -> ImageSource | None:
    """The source that the lists in a folder make; None where they are not there."""
    lists = {split: out / f'{split}.txt' for split in ('train', 'val', 'test')
             if (out / f'{split}.txt').is_file()}
    if not {'train', 'test'} <= set(lists) or not (out / CLASSES).is_file():
        return None
    return list_source(lists, root, out / CLASSES, f'the lists in {out}')


def differing(texts: Mapping[Path, str]) -> list[Path]:
    """Which text files are there already, with another content than the one to write."""
    return [file for file, text in texts.items()
            if file.exists() and file.read_bytes() != text.encode('utf-8')]


def write_texts(texts: Mapping[Path, str]) -> None:
    """Writes text files, and the folders they lie in."""
    for file, text in texts.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode('utf-8'))


def write_unreadable(out: Path, reasons: Mapping[str, str]) -> None:
    """Notes the images that cannot be read: path, tab and reason a line. None: no file."""
    file = out / UNREADABLE
    if reasons:
        file.write_bytes(''.join(f'{path}\t{reason}\n' for path, reason in reasons.items())
                         .encode('utf-8'))
    else:
        file.unlink(missing_ok=True)


def read_unreadable(out: Path) -> list[str]:
    """Paths that :func:`write_unreadable` noted."""
    file = out / UNREADABLE
    if not file.is_file():
        return []
    return [line.rpartition('\t')[0] for line in file.read_bytes().decode('utf-8').split('\n')
            if line]
