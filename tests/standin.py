"""Small stand-ins in the file formats of the benchmarks."""

import os
import pickle

import numpy as np
from PIL import Image

from rescom_mm.datasets.benchmark_facts import BenchmarkFacts, count_digest

# benchmark -> (classes, path of the k-th image, list file of a split)
LISTS = dict(
    ImageNetLT=(1000, '{part}/n{k:08d}/n{k:08d}_{k}.JPEG', 'ImageNet_LT_{split}.txt'),
    PlacesLT=(365, '{part}/airfield/{k:08d}.jpg', 'Places_LT_{split}.txt'),
    INaturalist18=(8142, 'train_val2018/Plantae/{k}/{k:032x}.jpg', 'iNaturalist18_{split}.txt'))


def write_lists(folder, benchmark):
    """12 JPEG files under as many names as there are 1 to 3 images of every class; 12 images for
    val and for test."""
    classes, pattern, lists = LISTS[benchmark]
    generator = np.random.default_rng(0)
    labels = [label for label in range(classes) for _ in range(3 if label < 40 else 1)]
    files = [pattern.format(part='train', k=k) for k in range(12)]
    for file in files:
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        size = (int(generator.integers(40, 90)), int(generator.integers(40, 90)), 3)
        Image.fromarray(generator.integers(0, 256, size, dtype=np.uint8)).save(path)
    for k in range(12, len(labels)):
        files.append(f'{files[k % 12].rpartition("/")[0]}/{k}.jpg')
        os.link(folder / files[k % 12], folder / files[k])
    train = [f'{file} {label}' for file, label in zip(files, labels)]
    evaluation = [f'{file} {label}' for label, file in enumerate(files[:12])]
    for split, lines in (('train', train), ('val', evaluation), ('test', evaluation)):
        (folder / lists.format(split=split)).write_text('\n'.join(lines) + '\n')


def write_published(images, lists, benchmark):
    """Empty images and lists that fit the facts returned: two images of each class to test on."""
    classes, pattern, names = LISTS[benchmark]
    for folder in (images, lists):
        folder.mkdir(parents=True, exist_ok=True)
    counts = np.ones(classes, int)
    counts[:3] = [101, 100, 20]
    for split, part, sizes in (('train', 'train', counts), ('val', 'train', counts * 0 + 2),
                               ('test', 'val', counts * 0 + 2)):
        if benchmark == 'INaturalist18' and split == 'test':
            continue
        lines = []
        for label, size in enumerate(sizes):
            first = pattern.format(part=part, k=label % 12)
            if label < 12:
                (images / first).parent.mkdir(parents=True, exist_ok=True)
            path = f'{first.rpartition("/")[0]}/{label}.jpg' if label >= 12 else first
            (images / path).touch()
            lines += [f'{path} {label}'] * size
        (lists / names.format(split=split)).write_text('\n'.join(lines) + '\n')
    return BenchmarkFacts(int(counts.sum()), 101, 1, 1, 2, classes - 3, count_digest(counts),
                          dict(val=2, test=2))


def write_cifar(folder, classes, per_class=100):
    """CIFAR's official pickles with fewer images: enough for an imbalance factor of 100."""
    generator = np.random.default_rng(0)

    def batch(n_per_class):
        labels = generator.permutation(np.repeat(np.arange(classes), n_per_class))
        data = generator.integers(0, 256, (len(labels), 3072), dtype=np.uint8)
        return {b'data': data, b'fine_labels' if classes == 100 else b'labels': labels.tolist()}

    if classes == 100:
        base = folder / 'cifar-100-python'
        from mmpretrain.datasets.categories import CIFAR100_CATEGORIES as NAMES
        files = {'train': batch(per_class), 'test': batch(2),
                 'meta': {b'fine_label_names': [name.encode() for name in NAMES]}}
    else:
        base = folder / 'cifar-10-batches-py'
        from mmpretrain.datasets.categories import CIFAR10_CATEGORIES as NAMES
        files = {f'data_batch_{i}': batch(per_class // 5) for i in range(1, 6)}
        files['test_batch'] = batch(5)
        files['batches.meta'] = {b'label_names': [name.encode() for name in NAMES]}
    base.mkdir(parents=True)
    for name, content in files.items():
        (base / name).write_bytes(pickle.dumps(content, protocol=2))


def write_folders(folder, **images):
    """A folder a class with so many images of 50x40 pixels."""
    generator = np.random.default_rng(0)
    for name, total in images.items():
        (folder / name).mkdir(parents=True)
        for k in range(total):
            pixels = generator.integers(0, 256, (40, 50, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f'{k}.png')


def torchvision_weights(depth):
    """State dict of torchvision's ResNet, classifier included, with weights of no training."""
    import torch
    import torchvision
    with torch.device('meta'):
        model = getattr(torchvision.models, f'resnet{depth}')()
    generator = torch.Generator().manual_seed(0)

    def values(like):
        if like.ndim == 0:  # num_batches_tracked
            return torch.tensor(7)
        low, high = (-0.1, 0.1) if like.ndim > 1 else (0.5, 1.5)
        return torch.empty(like.shape).uniform_(low, high, generator=generator)

    return {key: values(value) for key, value in model.state_dict().items()}
