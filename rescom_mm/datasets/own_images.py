from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

from mmpretrain.datasets import CustomDataset
from mmpretrain.registry import DATASETS

from ..utils import check_options
from .list_file import read_class_names, read_list_file

#: endings of the files that are taken from class folders
EXTENSIONS = ('.jpg', '.jpeg', '.png', '.ppm', '.bmp', '.pgm', '.tif', '.tiff', '.gif', '.webp')


@DATASETS.register_module()
@check_options
class OwnImages(CustomDataset):
    """One's own images: a folder a class, or a list file.

    mmpretrain's ``CustomDataset``, but what is wrong with a list is said with the list's name and
    the number of the line.

    Args:
        data_root: folder that the other paths are relative to.
        data_prefix: folder of the images below ``data_root``.
        ann_file: a list, one ``relative/path label`` a line, see
            :func:`~rescom_mm.datasets.list_file.read_list_file`; where empty, the folders in
            ``data_prefix`` are the classes.
        classes: names, or a file with one a line; labels of a list are checked against them.
        pipeline: transforms.
        extensions: endings of the files to take from class folders, in small letters; others are
            left out.
        kwargs: other options of ``CustomDataset``.

    Raises:
        FileNotFoundError: if the list or the images are not there.
        ValueError: with file and line, for a malformed list or file of class names.
    """

    def __init__(self, data_root: str = '', data_prefix: str | dict = '', ann_file: str = '',
                 classes: str | Sequence[str] | None = None,
                 pipeline: Sequence[dict | Callable] = (),
                 extensions: Sequence[str] = EXTENSIONS, **kwargs: Any) -> None:
        if not (data_root or data_prefix or ann_file):
            raise ValueError('OwnImages: give data_root, the folder of the class folders')
        if isinstance(data_prefix, dict) and not isinstance(data_prefix.get('img_path'), str):
            raise ValueError(f'OwnImages: data_prefix must be a folder, got {data_prefix!r}')
        if isinstance(classes, str):
            classes = read_class_names(os.path.expanduser(classes))
        super().__init__(data_root=data_root, data_prefix=data_prefix, ann_file=ann_file,
                         classes=classes, pipeline=pipeline, extensions=tuple(extensions), **kwargs)

    def load_data_list(self) -> list[dict]:
        """Image paths and labels."""
        names = self.CLASSES
        if self.ann_file and self.with_label:
            return read_list_file(self.ann_file, self.img_prefix, len(names) if names else None)
        if '://' not in self.img_prefix and not os.path.isdir(self.img_prefix or '.'):
            raise FileNotFoundError(f'{self.img_prefix} does not exist; set data_root and '
                                    'data_prefix of the dataset to the folder of the class folders')
        try:
            return super().load_data_list()
        except AssertionError as error:
            raise ValueError(f'OwnImages: classes names {len(names or ())} classes: {error}'
                             ) from error
