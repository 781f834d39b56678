"""Stand-in CIFAR files in the official format; pixels tell which image it is."""

import pickle

import numpy as np

from rescom_mm.datasets import CIFAR10LT, CIFAR100LT


def labels_of(num_classes, total, seed=0):
    """Balanced labels in the random order that the real files have."""
    return np.random.RandomState(seed).permutation(np.arange(total) % num_classes)


def batch(labels, start=0):
    """Red: the image's number in its first two pixels; green: its label; blue: 200."""
    data = np.zeros((len(labels), 3, 32, 32), np.uint8)
    number = start + np.arange(len(labels))
    data[:, 0, 0, 0], data[:, 0, 0, 1] = number // 256, number % 256
    data[:, 1] = labels[:, None, None]
    data[:, 2] = 200
    return data.reshape(len(labels), 3072)


def python2_pickle(key, names):
    """A dict of one list of strings as Python 2 wrote it (bytes in Python 3)."""
    def string(text):
        return b'U' + bytes([len(text)]) + text.encode()
    return b'\x80\x02}' + string(key) + b'](' + b''.join(map(string, names)) + b'es.'


def write_cifar100(root, train=50000, test=10000):
    folder = root / 'cifar-100-python'
    folder.mkdir(parents=True)
    for name, total in (('train', train), ('test', test)):
        labels = labels_of(100, total)
        entry = {b'data': batch(labels), b'fine_labels': labels.tolist(),
                 b'coarse_labels': (labels // 5).tolist()}
        (folder / name).write_bytes(pickle.dumps(entry, protocol=2))
    (folder / 'meta').write_bytes(python2_pickle('fine_label_names',
                                                 CIFAR100LT.METAINFO['classes']))


def write_cifar10(root, train=50000, test=10000):
    folder = root / 'cifar-10-batches-py'
    folder.mkdir(parents=True)
    labels = labels_of(10, train)
    for k, part in enumerate(np.split(np.arange(train), 5)):
        entry = dict(data=batch(labels[part], part[0]), labels=labels[part].tolist())
        (folder / f'data_batch_{k + 1}').write_bytes(pickle.dumps(entry))
    labels = labels_of(10, test)
    entry = dict(data=batch(labels), labels=labels.tolist())
    (folder / 'test_batch').write_bytes(pickle.dumps(entry))
    (folder / 'batches.meta').write_bytes(python2_pickle('label_names',
                                                         CIFAR10LT.METAINFO['classes']))
