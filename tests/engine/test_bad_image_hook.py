"""Trainings on data with damaged files, through a real Runner."""

import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from mmengine.hooks import Hook
from mmengine.runner import BaseLoop, EpochBasedTrainLoop, Runner
from mmpretrain.registry import HOOKS
from torch.utils.data import DataLoader

from rescom_mm.datasets import UndecodableImage
from rescom_mm.datasets.replacing_dataset import ReplacingDataset
from rescom_mm.engine import BadImageHook
from tests.images import DAMAGES, write_folders
from tests.runs import ROOT, load, tiny_config, train

SIZES = (120, 80, 50, 30, 14, 6)
REPORT = 'rescom_bad_images/report'


@HOOKS.register_module()
class RecordBatches(Hook):
    """Labels that are trained on, and the size of the report, iteration by iteration."""

    priority = 'VERY_LOW'

    def __init__(self):
        self.labels, self.reported = [], []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        assert set(data_batch) == {'inputs', 'data_samples'}
        self.labels += [int(sample.gt_label) for sample in data_batch['data_samples']]
        self.reported.append(len(runner.message_hub.runtime_info[REPORT]))


@pytest.fixture
def data(tmp_path):
    """300 training images, 2 % of them damaged in six ways, in large and in small classes."""
    generator = np.random.default_rng(0)
    folders = write_folders(tmp_path / 'data', SIZES, generator)
    lists = [f'{path.relative_to(tmp_path / "data")} {label}\n'
             for label, paths in enumerate(folders) for path in paths]
    (tmp_path / 'data' / 'train.txt').write_text(''.join(lists))
    damaged = {}
    for label, (damage, (suffix, apply)) in zip([0, 0, 1, 3, 4, 5], DAMAGES.items()):
        path = next(path for path in folders[label] if path.suffix == suffix
                    and str(path) not in damaged)
        damaged[str(path)] = damage
        apply(path)
    write_folders(tmp_path / 'val', [2] * len(SIZES), generator)
    return tmp_path, damaged


def options(data, workers=0, load='LoadImage', **more):
    def dataset(folder, *transforms, **kwargs):
        return dict(_delete_=True, type='OwnImages', data_root=str(data[0] / folder),
                    classes=[f'class{label}' for label in range(len(SIZES))],
                    pipeline=[dict(type=load), *transforms, dict(type='PackInputs')], **kwargs)

    views = [dict(type='RandomResizedCrop', scale=8), dict(type='RandomFlip', prob=0.5)]
    return {**dict(
        train_dataloader__dataset=dataset(
            'data', dict(type='MultiView', num_views=2, transforms=[views]), ann_file='train.txt'),
        val_dataloader__dataset=dataset('val', dict(type='ResizeEdge', scale=8),
                                        dict(type='CenterCrop', crop_size=8)),
        train_dataloader__num_workers=workers, val_dataloader__num_workers=workers,
        train_dataloader__batch_size=30, train_dataloader__persistent_workers=workers > 0,
        model__head__num_classes=len(SIZES), model__data_preprocessor=dict(num_classes=len(SIZES)),
        default_hooks__record=dict(type='RecordBatches'), without=['results']), **more}


def recorded(runner):
    return next(hook for hook in runner.hooks if isinstance(hook, RecordBatches))


def said(folder):
    return ''.join(file.read_text() for file in sorted(folder.glob('*/*.log')))


@pytest.mark.stack
@pytest.mark.parametrize('workers', [0, 2])
def test_two_percent_damaged(data, tmp_path, workers):
    runner = train(tmp_path / 'run', **options(data, workers, default_hooks__bad_images__limit=.03))
    assert runner.iter == 20
    # what was trained on has the classes of the data, those of the damaged images included
    assert np.bincount(recorded(runner).labels).tolist() == [2 * size for size in SIZES]
    report = runner.message_hub.runtime_info[REPORT]
    assert report.keys() == data[1].keys() and all(count >= 2 for count, _ in report.values())
    lines = [line.split('\t') for line in
             (tmp_path / 'run' / 'undecodable_images.txt').read_text().splitlines()]
    assert {path: [int(count), reason] for path, count, reason in lines} == report
    log = said(tmp_path / 'run')
    for path, damage in data[1].items():
        expected = {'zero bytes': 'the file is empty', 'missing': 'No such file or directory',
                    'text': 'no image', 'flipped header': 'no image'}.get(damage, 'truncated')
        assert expected in report[path][1].replace('Truncated', 'truncated')
        assert log.count(f'{path!r} cannot be decoded ({report[path][1]})') == 1
    total = sum(count for count, _ in report.values())
    assert f'6 training images could not be decoded; they were drawn {total} times' in log
    # a checkpoint carries the report
    saved = load(tmp_path / 'run' / 'epoch_2.pth')['message_hub']['runtime_info'][REPORT]
    assert saved == report


@pytest.mark.parametrize('workers', [0, 2])
def test_the_default_limit_ends_the_run_with_the_report(data, tmp_path, workers):
    with pytest.raises(UndecodableImage) as caught:
        train(tmp_path / 'run', **options(data, workers))
    message = str(caught.value)
    found = [path for path in data[1] if path in message]
    assert len(found) >= 4 and f'{len(found)} of 300 training images cannot be decoded' in message
    for part in ('more than limit=0.01', 'repair or remove them', 'default_hooks.bad_images.limit',
                 str(tmp_path / 'run' / 'undecodable_images.txt')):
        assert part in message
    written = (tmp_path / 'run' / 'undecodable_images.txt').read_text()
    assert all(path in written for path in found)


@pytest.mark.parametrize('workers', [pytest.param(0, marks=pytest.mark.slow), 2])
def test_raise_stops_at_the_first(data, tmp_path, workers):
    with pytest.raises(UndecodableImage, match=r"cannot be decoded: .*on_error='replace'"):
        train(tmp_path / 'run', **options(data, workers,
                                          default_hooks__bad_images__on_error='raise'))


@pytest.mark.parametrize('workers', [pytest.param(0, marks=pytest.mark.slow), 2])
def test_validation_replaces_nothing(data, tmp_path, workers):
    path = tmp_path / 'val' / 'class3' / '1.png'
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(UndecodableImage, match=r'val/class3/1\.png. cannot be decoded: truncated'):
        train(tmp_path / 'run', **options(data, workers, default_hooks__bad_images__limit=1))


@pytest.mark.slow
def test_a_class_without_a_readable_image_ends_the_run(data, tmp_path):
    for path in (tmp_path / 'data' / 'class5').iterdir():
        path.write_bytes(b'')
    with pytest.raises(UndecodableImage, match=r'class 5 \(class5\) has no image that can be '
                       r'decoded, 6 tried: '):
        train(tmp_path / 'run', **options(data, default_hooks__bad_images__limit=1))


def test_the_report_does_not_run_ahead_of_training(data, tmp_path):
    """Workers load the damaged files many batches before they are trained on."""
    cfg = tiny_config(tmp_path / 'run', epochs=1, **options(
        data, 2, train_dataloader__sampler__shuffle=False, train_dataloader__batch_size=5,
        train_dataloader__prefetch_factor=8, default_hooks__bad_images__limit=.03))
    runner = Runner.from_cfg(cfg)
    runner.train()
    dataset = runner.train_dataloader.dataset
    assert isinstance(dataset, ReplacingDataset)
    where = sorted(i // 5 for i in range(300) if dataset.get_data_info(i)['img_path'] in data[1])
    reported = recorded(runner).reported
    grown = [i for i in range(60) if reported[i] > (reported[i - 1] if i else 0)]
    # a damaged file may be drawn in the place of another one, never before it was looked for
    assert set(grown) <= set(where) and reported[-1] == 6 and where[-1] > 50


def test_a_resumed_run_goes_on_with_the_report(data, tmp_path):
    settings = options(data, default_hooks__bad_images__limit=.03)
    runner = train(tmp_path / 'run', epochs=1, **settings)
    first = runner.message_hub.runtime_info[REPORT]
    assert len(first) == 6
    more = train(tmp_path / 'run', epochs=2, resume=True, **settings)
    report = more.message_hub.runtime_info[REPORT]
    assert all(report[path][0] > first[path][0] for path in first)
    assert said(tmp_path / 'run').count('another image of its class takes its place') == 6


def test_iteration_based_loop(data, tmp_path):
    runner = train(tmp_path / 'run', **options(
        data, train_cfg=dict(_delete_=True, type='IterBasedTrainLoop', max_iters=11,
                             val_interval=11), param_scheduler=None,
        default_hooks__checkpoint=dict(by_epoch=False, interval=11),
        default_hooks__bad_images__limit=.03))
    assert len(runner.message_hub.runtime_info[REPORT]) == 6
    assert len(recorded(runner).labels) == 330


@pytest.mark.parametrize('wrong, message', [
    (dict(on_error='skip'), "on_error must be 'replace' or 'raise', got 'skip'"),
    (dict(limit=3), 'limit is a share of the training images, 0 ... 1, got 3'),
])
def test_bad_options(wrong, message):
    with pytest.raises(ValueError, match=message):
        BadImageHook(**wrong)


def test_labels_that_cannot_be_read():
    """The data are left alone, and a warning says so."""
    said, loop = [], BaseLoop.__new__(EpochBasedTrainLoop)
    loader = DataLoader([dict(gt_label=[0, 1])] * 4)
    runner = SimpleNamespace(_train_loop=loop, train_dataloader=loader,
                             logger=SimpleNamespace(warning=said.append))
    hook = BadImageHook()
    hook.before_run(runner)
    hook.after_train_epoch(runner)
    assert runner.train_dataloader is loader and len(said) == 1
    assert said[0].startswith('an image that cannot be decoded will end the run, since')


@pytest.mark.slow
def test_two_processes_merge_their_reports(data, tmp_path):
    settings = tiny_config(tmp_path / 'run', **options(
        data, train_dataloader__batch_size=15, default_hooks__bad_images__limit=.03))
    settings.default_hooks.pop('record')
    settings.dump(tmp_path / 'two.py')
    done = subprocess.run(
        ['bash', 'tools/dist_train.sh', str(tmp_path / 'two.py'), '2'],
        cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300,
        env={**os.environ, 'PATH': f'{os.path.dirname(sys.executable)}:{os.environ["PATH"]}'})
    assert done.returncode == 0, done.stdout[-3000:]
    report = load(tmp_path / 'run' / 'epoch_2.pth')['message_hub']['runtime_info'][REPORT]
    assert report.keys() == data[1].keys()
    assert all(count >= 2 for count, _ in report.values())  # both epochs, whichever rank met it
    assert len((tmp_path / 'run' / 'undecodable_images.txt').read_text().splitlines()) == 6
    assert all(done.stdout.count(f'{path!r} cannot be decoded') == 1 for path in data[1])
