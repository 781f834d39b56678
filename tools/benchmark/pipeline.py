"""Images a second, on one core, of the two-view recipes of CIFAR and ImageNet.

From the file (for CIFAR: the array) to the normalised batch of both views: this package's
pipeline, the same recipe on torchvision's transforms and Pillow, and mmpretrain's stock transforms
under its MultiView (with this package's policies, which it lacks).
"""

import rescom_mm  # noqa: F401  first: it readies the OpenMMLab stack  # isort: skip

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pillow_recipes
import torch
from measure import ROOT, alternate, parser, ratio, save, shown, start, summary
from mmcv.transforms import Compose
from mmengine.config import Config
from mmengine.dataset import default_collate
from mmengine.registry import DefaultScope
from mmpretrain.registry import MODELS

from rescom_mm.datasets import CIFAR100LT
from rescom_mm.utils.seeding import seed_generators

Step = Callable[[], Any]
_STOCK_CROPS = {
    'PaddedCropAndFlip': [dict(type='RandomCrop', crop_size=32, padding=4),
                          dict(type='RandomFlip', prob=0.5)],
    'ResizedCropAndFlip': [dict(type='RandomResizedCrop', scale=224, backend='pillow'),
                           dict(type='RandomFlip', prob=0.5)],
    'FastColorJitter': [dict(type='ColorJitter', brightness=0.4, contrast=0.4, saturation=0.4,
                             backend='pillow')],
}


def stock(pipeline: Sequence[dict]) -> list[dict]:
    """A pipeline with mmpretrain's transforms in place of this package's, where it has equals."""
    steps: list[dict] = []
    for step in pipeline:
        if step['type'] == 'TwoViews':
            view = [new for old in step['transforms']
                    for new in _STOCK_CROPS.get(old['type'], [dict(old)])]
            steps.append(dict(type='MultiView', num_views=2, transforms=[view]))
        elif step['type'] == 'LoadImage':
            steps.append(dict(type='LoadImageFromFile'))
        else:
            steps.append(dict(step))
    return steps


def mm_epoch(name: str, samples: Sequence[dict], batch: int, make_stock: bool = False) -> Step:
    """Runs the recipe's config over the samples: dataset, collation and data preprocessor."""
    config = Config.fromfile(ROOT / 'configs' / '_base_' / 'datasets' / f'{name}.py')
    steps = config.train_dataloader.dataset.pipeline
    kind = 'ClsDataPreprocessor' if make_stock else 'SiameseDataPreprocessor'
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        pipeline = Compose(stock(steps) if make_stock else steps)
        preprocessor = MODELS.build(dict(config.data_preprocessor, type=kind))

    def epoch() -> None:
        for begin in range(0, len(samples), batch):
            items = []
            for number, sample in enumerate(samples[begin:begin + batch]):
                seed_generators(begin + number)  # as for an exact resume
                items.append(pipeline(dict(sample)))
            data = default_collate(items)
            if make_stock:  # it knows one view
                data['inputs'] = torch.cat(data['inputs'])
            preprocessor(data, training=True)

    return epoch


def pillow_epoch(recipe: Callable, samples: Sequence[Any], batch: int) -> Step:
    """Runs the recipe on torchvision's transforms over files or arrays."""
    transform = recipe()

    def epoch() -> None:
        for begin in range(0, len(samples), batch):
            pairs = [pillow_recipes.two_views(transform, sample)
                     for sample in samples[begin:begin + batch]]
            torch.cat([torch.stack(views) for views in zip(*pairs)])

    return epoch


def cifar_samples(data_root: Path | None, count: int) -> tuple[list[np.ndarray], str]:
    """Images, and where they come from."""
    if data_root is None:
        images = np.random.default_rng(0).integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)
        return [cv2.resize(image, (32, 32)) for image in images], 'generated'
    items = CIFAR100LT(str(data_root)).load_data_list()
    picked = np.random.default_rng(0).permutation(len(items))[:count]
    return [items[index]['img'] for index in picked], 'CIFAR-100'


def photos(folder: Path | None, made: Path) -> tuple[list[Path], str]:
    """JPEG files, and where they come from; generated ones go to the folder ``made``."""
    if folder is None:
        generator = np.random.default_rng(0)
        for number in range(32):
            small = generator.integers(0, 256, (12, 16, 3), dtype=np.uint8)
            cv2.imwrite(str(made / f'{number}.jpg'), cv2.resize(
                small, (500, 375), interpolation=cv2.INTER_CUBIC))
        folder, source = made, 'generated'
    else:
        source = 'photographs'
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in ('.jpg', '.jpeg'))
    if not files:
        raise SystemExit(f'--photos {folder}: no JPEG (.jpg, .jpeg) there; name a folder of them')
    return files, source


def measure(recipe: str, source: str, count: int, epochs: dict[str, Step], rounds: int) -> dict:
    """Alternates the candidates; prints and returns their row."""
    seconds = alternate(epochs, rounds, torch.device('cpu'), warm_up=1)
    speed = {name: summary([count / value for value in values])
             for name, values in seconds.items()}
    ratios = {f'over_{name}': ratio(seconds, name, 'ours') for name in ('pillow', 'multiview')}
    print(f'{recipe} ({count} images, {source}): {shown(speed["ours"], digits=0)} images/s; '
          f'{shown(ratios["over_pillow"])} x torchvision on Pillow '
          f'({shown(speed["pillow"], digits=0)}), {shown(ratios["over_multiview"])} x MultiView '
          f'({shown(speed["multiview"], digits=0)})')
    return dict(recipe=recipe, images=source, count=count, images_per_second=speed, **ratios)


def main(argv: Sequence[str] | None = None) -> None:
    """Measures both recipes."""
    options = parser(__doc__ or '', 'pipeline')
    options.set_defaults(device='cpu', threads=1, rounds=15)
    options.add_argument('--photos', type=Path, help='folder of JPEGs; generated ones otherwise')
    options.add_argument('--data-root', type=Path, help='of CIFAR-100; random images otherwise')
    args = options.parse_args(argv)
    start(args)
    cv2.setNumThreads(0)
    images, cifar_source = cifar_samples(args.data_root, 512)
    rows = [measure('cifar', cifar_source, len(images), dict(
        ours=mm_epoch('cifar100_lt', [dict(img=image, gt_label=0) for image in images], 128),
        multiview=mm_epoch('cifar100_lt', [dict(img=image, gt_label=0) for image in images], 128,
                           make_stock=True),
        pillow=pillow_epoch(pillow_recipes.cifar, images, 128)), args.rounds)]
    with tempfile.TemporaryDirectory() as made:
        files, source = photos(args.photos, Path(made))
        samples = [dict(img_path=str(file), gt_label=0) for file in files]
        rows.append(measure('imagenet', source, len(files), dict(
            ours=mm_epoch('imagenet_lt', samples, 16),
            multiview=mm_epoch('imagenet_lt', samples, 16, make_stock=True),
            pillow=pillow_epoch(pillow_recipes.imagenet, files, 16)), args.rounds))
    save(args, rows)


if __name__ == '__main__':
    main()
