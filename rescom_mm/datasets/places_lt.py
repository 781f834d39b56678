from __future__ import annotations

from mmpretrain.registry import DATASETS

from ..utils import check_options
from .benchmark_facts import PLACES_LT
from .list_benchmark import ListBenchmark
from .places365_categories import PLACES365_CATEGORIES

_RELEASES = ('data_256', 'data_large', 'val_256', 'val_large')


@DATASETS.register_module()
@check_options
class PlacesLT(ListBenchmark):
    """Places-LT (Liu et al., CVPR 2019): 365 classes of 5 to 4,980 training images.

    Args:
        data_root: folder of Places365-Standard in any of its releases: ``train/airfield/``,
            ``places365_standard/train/airfield/``, ``data_256/a/airfield/``,
            ``data_256_standard/a/airfield/`` or ``data_large...``; the list may spell its paths
            in another of these ways. The images of ``test`` lie in ``val/airfield/`` or flat in
            ``val_256/`` or ``val_large/``.
        split: ``'train'`` (62,500 images), ``'val'`` (7,300 of Places365's training images) or
            ``'test'`` (36,500, Places365's validation set).
        ann_file: the benchmark's list; ``{data_root}/Places_LT_{split}.txt`` where None. A
            relative path is looked up in ``data_root``.
        pipeline: transforms.
        test_mode: as in ``BaseDataset``.
        lazy_init: as in ``BaseDataset``.
    """

    METAINFO = {'classes': PLACES365_CATEGORIES}
    NAME = 'places-lt'
    LISTS = {split: f'Places_LT_{split}.txt' for split in ('train', 'val', 'test')}
    SPELLINGS = ('{part}/{name}', 'places365_standard/{part}/{name}', '{part_256}{nested}',
                 '{part_256_standard}{nested}', '{part_large}{nested}',
                 '{part_large_standard}{nested}', '{part_256}/{name}', '{part_large}/{name}')
    FACTS = PLACES_LT
    SOURCE = ('https://github.com/zhmiao/OpenLongTailRecognition-OLTR, the images from '
              'http://places2.csail.mit.edu/download.html')
    FOLDERS = ('train', 'val', 'places365_standard', 'data_256', 'data_256_standard',
               'data_large', 'data_large_standard', 'val_256', 'val_large')
    # Kang et al. (ICLR 2020) keep the authors' lists where no browser is needed
    URLS = {split: 'https://github.com/facebookresearch/classifier-balancing/raw/main/data/'
            f'Places_LT/Places_LT_{split}.txt' for split in ('train', 'val', 'test')}

    @classmethod
    def folder_parts(cls, folder: str, label: int) -> dict[str, str] | None:
        """Of ``.../train/arena-hockey``, ``data_256/a/arena/hockey`` or ``val_256``."""
        names = folder.split('/')
        start = next((i for i, name in enumerate(names)
                      if name in ('train', 'val') or name.startswith(_RELEASES)), None)
        if start is None:
            return None
        words, is_val = names[start + 1:], names[start].startswith('val')
        if words and len(words[0]) == 1:  # the a of a/arena/hockey
            words = words[1:]
        if not words and not is_val:
            return None
        name = '-'.join(words) or PLACES365_CATEGORIES[label]  # a flat folder doesn't tell it
        nested = '' if is_val else f'/{name[0]}/{name.replace("-", "/")}'
        parts = {f'part_{size}{kind}': f'val_{size}' if is_val else f'data_{size}{kind}'
                 for size in ('256', 'large') for kind in ('', '_standard')}
        return dict(parts, part='val' if is_val else 'train', name=name, nested=nested)
