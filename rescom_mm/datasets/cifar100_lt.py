from __future__ import annotations

from mmpretrain.datasets.categories import CIFAR100_CATEGORIES
from mmpretrain.registry import DATASETS

from ..utils import check_options
from .cifar_lt import CIFARLT


@DATASETS.register_module()
@check_options
class CIFAR100LT(CIFARLT):
    """CIFAR-100-LT: class c keeps floor(500 (1/rho)^(c/99)) of its 500 training images.

    Images are uint8 ``[32, 32, 3]`` **in RGB order**, not OpenCV's BGR: the data preprocessor
    takes ``to_rgb=False`` with RGB means, and this package's transforms ``channel_order='rgb'``.

    Args:
        data_root: folder that holds ``cifar-100-python/`` with ``train``, ``test`` and ``meta``.
        split: ``'train'`` (10,847, 12,608 and 19,573 images at 100, 50 and 10) or ``'test'`` (all
            10,000 images, balanced; the benchmark has no other evaluation list).
        imbalance_factor: rho, largest class size over the smallest.
        profile: ``'exp'``, or ``'step'``: the first 50 classes keep 500, the others 500 / rho.
        seed: which images the training set keeps; the benchmark's is 0.
        check_md5: whether the files must be the official ones, byte for byte.
        pipeline: transforms.
        test_mode: as in ``BaseDataset``.
        lazy_init: as in ``BaseDataset``.
    """

    METAINFO = {'classes': CIFAR100_CATEGORIES}
    FOLDER = 'cifar-100-python'
    URL = 'https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz'
    NAME = 'cifar100'
    FILES = dict(train=dict(train='16019d7e3df5f24257cddd939b257f8d'),
                 test=dict(test='f0ef6b0ae62326f3e7ffdfab6717acfc'))
    META = ('meta', 'fine_label_names', '7973b15100ade9c7d40fb424638fde48')
    LABELS = 'fine_labels'
