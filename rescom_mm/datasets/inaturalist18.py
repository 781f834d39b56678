from __future__ import annotations

from mmpretrain.registry import DATASETS

from ..utils import check_options
from .benchmark_facts import INATURALIST18
from .list_benchmark import ListBenchmark


@DATASETS.register_module()
@check_options
class INaturalist18(ListBenchmark):
    """iNaturalist 2018: 8,142 species of 2 to 1,000 training images.

    The classes are named by their ids, as the folders of the images are.

    Args:
        data_root: folder of ``train_val2018/``, or that folder itself, or one in which
            torchvision has called it ``2018/``.
        split: ``'train'`` (437,513 images); ``'val'`` and ``'test'`` are the same 24,426 images,
            the only published labels beside the training set.
        ann_file: the list; ``{data_root}/iNaturalist18_train.txt`` or ``iNaturalist18_val.txt``
            where None. A relative path is looked up in ``data_root``.
        pipeline: transforms.
        test_mode: as in ``BaseDataset``.
        lazy_init: as in ``BaseDataset``.
    """

    METAINFO = {'classes': tuple(str(label) for label in range(8142))}
    NAME = 'inat18'
    LISTS = dict(train='iNaturalist18_train.txt', val='iNaturalist18_val.txt',
                 test='iNaturalist18_val.txt')
    SPELLINGS = ('train_val2018/{group}/{species}', '{group}/{species}', '2018/{group}/{species}')
    FACTS = INATURALIST18
    SOURCE = ('https://github.com/facebookresearch/classifier-balancing, the images from '
              'https://github.com/visipedia/inat_comp/tree/master/2018')
    FOLDERS = ('train_val2018', '2018')
    # the official annotations, of which the lists are made
    URLS = {split: f'https://ml-inat-competition-datasets.s3.amazonaws.com/2018/{split}2018.json'
            '.tar.gz' for split in ('train', 'val')}

    @classmethod
    def folder_parts(cls, folder: str, label: int) -> dict[str, str] | None:
        """Of ``.../Plantae/7291``."""
        names = folder.split('/')
        return dict(group=names[-2], species=names[-1]) if len(names) >= 2 else None
