from __future__ import annotations

from mmpretrain.datasets.categories import IMAGENET_CATEGORIES
from mmpretrain.registry import DATASETS

from ..utils import check_options
from .benchmark_facts import IMAGENET_LT
from .list_benchmark import ListBenchmark


@DATASETS.register_module()
@check_options
class ImageNetLT(ListBenchmark):
    """ImageNet-LT (Liu et al., CVPR 2019): 1,000 classes of 5 to 1,280 training images.

    Args:
        data_root: folder of ImageNet's ``train/`` and ``val/``; the images of ``val/`` may lie in
            class folders or flat in it.
        split: ``'train'`` (115,846 images), ``'val'`` (20,000 of ImageNet's training images) or
            ``'test'`` (50,000, ImageNet's validation set).
        ann_file: the benchmark's list; ``{data_root}/ImageNet_LT_{split}.txt`` where None. A
            relative path is looked up in ``data_root``.
        pipeline: transforms.
        test_mode: as in ``BaseDataset``.
        lazy_init: as in ``BaseDataset``.
    """

    METAINFO = {'classes': IMAGENET_CATEGORIES}
    NAME = 'imagenet-lt'
    LISTS = {split: f'ImageNet_LT_{split}.txt' for split in ('train', 'val', 'test')}
    SPELLINGS = ('{part}/{wnid}', '{part}', 'ILSVRC/Data/CLS-LOC/{part}/{wnid}',
                 'ILSVRC/Data/CLS-LOC/{part}')
    FACTS = IMAGENET_LT
    SOURCE = 'https://github.com/zhmiao/OpenLongTailRecognition-OLTR, the images from image-net.org'
    FOLDERS = ('train', 'val')
    LEVELS = ('', 'ILSVRC/Data/CLS-LOC', 'Data/CLS-LOC', 'CLS-LOC')
    # Kang et al. (ICLR 2020) keep the authors' lists where no browser is needed
    URLS = {split: 'https://github.com/facebookresearch/classifier-balancing/raw/main/data/'
            f'ImageNet_LT/ImageNet_LT_{split}.txt' for split in ('train', 'val', 'test')}

    @classmethod
    def folder_parts(cls, folder: str, label: int) -> dict[str, str] | None:
        """Of ``.../train/n01440764``."""
        names = folder.split('/')
        if len(names) < 2 or names[-2] not in ('train', 'val'):
            return None
        return dict(part=names[-2], wnid=names[-1])
