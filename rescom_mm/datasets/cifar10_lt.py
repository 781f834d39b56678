from __future__ import annotations

from mmpretrain.datasets.categories import CIFAR10_CATEGORIES
from mmpretrain.registry import DATASETS

from ..utils import check_options
from .cifar_lt import CIFARLT


@DATASETS.register_module()
@check_options
class CIFAR10LT(CIFARLT):
    """CIFAR-10-LT: class c keeps floor(5000 (1/rho)^(c/9)) of its 5,000 training images.

    Images are uint8 ``[32, 32, 3]`` **in RGB order**, not OpenCV's BGR: the data preprocessor
    takes ``to_rgb=False`` with RGB means, and this package's transforms ``channel_order='rgb'``.

    Args:
        data_root: folder that holds ``cifar-10-batches-py/`` with ``data_batch_1`` to
            ``data_batch_5``, ``test_batch`` and ``batches.meta``.
        split: ``'train'`` (12,406, 13,996 and 20,431 images at 100, 50 and 10) or ``'test'`` (all
            10,000 images, balanced; the benchmark has no other evaluation list).
        imbalance_factor: rho, largest class size over the smallest.
        profile: ``'exp'``, or ``'step'``: the first 5 classes keep 5,000, the others 5,000 / rho.
        seed: which images the training set keeps; the benchmark's is 0.
        check_md5: whether the files must be the official ones, byte for byte.
        pipeline: transforms.
        test_mode: as in ``BaseDataset``.
        lazy_init: as in ``BaseDataset``.
    """

    METAINFO = {'classes': CIFAR10_CATEGORIES}
    FOLDER = 'cifar-10-batches-py'
    URL = 'https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz'
    NAME = 'cifar10'
    FILES = dict(
        train=dict(data_batch_1='c99cafc152244af753f735de768cd75f',
                   data_batch_2='d4bba439e000b95fd0a9bffe97cbabec',
                   data_batch_3='54ebc095f3ab1f0389bbae665268c751',
                   data_batch_4='634d18415352ddfa80567beed471001a',
                   data_batch_5='482c414d41f54cd18b22e5b47cb7c3cb'),
        test=dict(test_batch='40351d587109b95175f43aff81a1287e'))
    META = ('batches.meta', 'label_names', '5ff9c542aee3614f3951f8cda6e48888')
    LABELS = 'labels'
