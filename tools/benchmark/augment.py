"""Images per second of the CIFAR-100-LT recipe: two normalised views of each image of a batch.

One row is the training pipeline of the config on one core of the host, the other CIFARAugment in
the data preprocessor, from the indices of a batch of a data set that is on the device.
"""

import rescom_mm  # noqa: F401  first: it readies the OpenMMLab stack  # isort: skip

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from branch import waits_for_device
from measure import ROOT, alternate, parser, ratio, save, shown, start, summary
from mmcv.transforms import Compose
from mmengine.config import Config
from mmengine.dataset import default_collate
from mmengine.registry import DefaultScope
from mmpretrain.registry import MODELS
from torch import Tensor

from rescom_mm.datasets import CIFAR100LT

CONFIGS = ROOT / 'configs' / 'rescom'
NAME = 'rescom_r32_cifar100-lt-if100'


def images(data_root: str | None, check_md5: bool) -> np.ndarray:
    """uint8 ``[N, 32, 32, 3]``: the training set, or noise in its place."""
    if data_root is None:
        return np.random.default_rng(0).integers(0, 256, (10847, 32, 32, 3), dtype=np.uint8)
    dataset = CIFAR100LT(data_root, check_md5=check_md5)
    return np.stack([dataset.get_data_info(i)['img'] for i in range(len(dataset))])


def preprocessor(cfg: Config) -> Any:
    """The config's data preprocessor, on the CPU."""
    return MODELS.build(dict(type='SiameseDataPreprocessor', **cfg.data_preprocessor))


class Recipes:
    """Both ways from images to a normalised batch, on the same images.

    Args:
        images_NHWC: uint8.
        batch: images of a batch.
        device: of the batched way.
    """

    def __init__(self, images_NHWC: np.ndarray, batch: int, device: torch.device) -> None:
        self.images, self.batch = images_NHWC, batch
        host = Config.fromfile(CONFIGS / f'{NAME}.py')
        self.pipeline = Compose(host.train_dataloader.dataset.pipeline)
        self.normalise = preprocessor(host).to(device)
        pack = Compose([dict(type='PackInputs')])
        packed = [pack(dict(img=image, gt_label=0)) for image in images_NHWC]
        self.samples = [item['data_samples'] for item in packed]
        self.augment = preprocessor(Config.fromfile(CONFIGS / f'{NAME}_device.py')).to(device)
        self.augment.hold(torch.stack([item['inputs'] for item in packed]), self.samples)

    def draw(self) -> Tensor:
        """Indices of a batch."""
        return torch.randint(len(self.images), (self.batch,))

    def host(self) -> Tensor:
        """Image after image."""
        items = [self.pipeline(dict(img=self.images[i], gt_label=0)) for i in self.draw().tolist()]
        return self.normalise(default_collate(items), training=True)['inputs']

    def device(self) -> Tensor:
        """All of a batch at once."""
        index = self.draw()
        samples = [self.samples[i] for i in index.tolist()]
        return self.augment(dict(inputs=index, data_samples=samples), training=True)['inputs']

    def fixed_shapes(self) -> Tensor:
        """The same as on a GPU: each op on all images. (Without the normalisation.)"""
        augment = self.augment.augment
        batch = self.augment._images[self.draw()].repeat(2, 1, 1, 1)
        return augment.apply(batch, augment.draw(len(batch)), everywhere=True)


def main(argv: Sequence[str] | None = None) -> None:
    """Measures both."""
    options = parser(__doc__ or '', 'augment')
    options.add_argument('--batch', type=int, default=128, help='images a batch')
    options.add_argument('--data-root', help='of the official files; noise where it is not given')
    options.add_argument('--no-check-md5', action='store_true', help='accept a repacked copy')
    args = options.parse_args(argv)
    device = start(args)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        found = images(args.data_root, not args.no_check_md5)
        recipes = Recipes(found, args.batch, device)
    candidates: dict[str, Callable[[], Tensor]] = dict(host=recipes.host, device=recipes.device)
    if device.type == 'cpu':
        candidates['fixed_shapes'] = recipes.fixed_shapes
    seconds = alternate(candidates, args.rounds, device)
    rows = [row(name, seconds, args.batch) for name in candidates]
    for one in rows:
        print(f'{one["way"]}: {shown(one["images_per_second"], 1, 0)} images/s, '
              f'{shown(one["gain"])} x the host')
    args.data_root = 'noise' if args.data_root is None else 'CIFAR-100'
    rows[1]['waits'] = waits_for_device(recipes.device)
    save(args, rows)


def row(name: str, seconds: dict[str, list[float]], batch: int) -> dict[str, Any]:
    """What was measured of one way."""
    return dict(way=name, images_per_second=summary([batch / value for value in seconds[name]]),
                gain=ratio(seconds, 'host', name))


if __name__ == '__main__':
    main()
