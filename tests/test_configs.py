"""Every config is built up to its first step; one of each kind takes two real training steps and
is evaluated and tested, on stand-in data. (The slow set trains them all.)"""

import json
import math
import re
from collections import Counter

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from rescom_mm.engine.loops import ResumableEpochLoop
from tests.configs import FILES, kind, read
from tests.runs import load
from tests.standin import LISTS, torchvision_weights, write_cifar, write_folders, write_lists

KINDS = {}
for name in FILES:
    KINDS.setdefault(kind(name), []).append(name)
# those of Digits-LT train longer, all of them, in tests/engine/test_training.py
TRAINED = [names[0] for names in KINDS.values() if not names[0].endswith('digits-lt')]
# what the small networks of CIFAR train too; CI trains these in a step of its own
TRAINED = [name for name in TRAINED if name != 'rescom_convnext-t_custom'
           and (name.startswith('rescom') or '50_imagenet' not in name)]
LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


def is_pretrained(cfg):
    init = cfg.model.backbone.get('init_cfg')
    return isinstance(init, dict) and init.type == 'Pretrained'


@pytest.fixture(scope='module')
def standin(tmp_path_factory):
    """Points a config at stand-in data, and at weights, made when first asked for."""
    made = {}

    def folder(data):
        if data not in made:
            made[data] = tmp_path_factory.mktemp(data)
            if data in LISTS:
                write_lists(made[data], data)
            elif data.startswith('CIFAR'):
                write_cifar(made[data], 100 if data == 'CIFAR100LT' else 10)
            else:
                write_folders(made[data] / 'train', crow=9, owl=5, wren=2)
                write_folders(made[data] / 'test', crow=2, owl=2, wren=2)
        return str(made[data])

    def weights(depth):
        if depth not in made:
            made[depth] = tmp_path_factory.mktemp('weights') / f'resnet{depth}.pth'
            torch.save(torchvision_weights(depth), made[depth])
        return str(made[depth])

    def point(cfg):
        for name in LOADERS:
            dataset = cfg[name].dataset
            if 'data_root' in dataset:
                dataset.data_root = folder(dataset.type)
            if dataset.type.startswith('CIFAR'):
                dataset.check_md5 = False
        if cfg.train_dataloader.dataset.type == 'OwnImages':
            cfg.model.head.num_classes = 3  # the user's part
        if is_pretrained(cfg):
            cfg.model.backbone.init_cfg.checkpoint = weights(cfg.model.backbone.depth)
        return cfg

    return point


def shrink(cfg):
    """Small images and batches and two steps; the rest stays."""
    for name in LOADERS:
        cfg[name].update(num_workers=0, persistent_workers=False, batch_size=100,
                         collate_fn=dict(type='default_collate'))
    cfg.train_dataloader.batch_size = 4
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        for transform in loader.dataset.pipeline:
            for inner in (transform, *transform.get('transforms', [])):
                if inner.type in ('RandomResizedCrop', 'ResizedCropAndFlip', 'ResizeEdge'):
                    inner.scale = 64
                if inner.type == 'CenterCrop':
                    inner.crop_size = 64
    cfg.train_cfg = dict(type='IterBasedTrainLoop', max_iters=2, val_interval=2)
    cfg.default_hooks.checkpoint.update(by_epoch=False, interval=2, save_optimizer=False)
    return cfg


class Record(Hook):
    """Keeps the weights as they are before the first step, and the labels of all steps."""

    def before_train(self, runner):
        self.start = {key: value.clone() for key, value in runner.model.state_dict().items()}
        self.labels = Counter()

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.labels.update(int(sample.gt_label) for sample in data_batch['data_samples'])


@pytest.mark.parametrize('name', [
    pytest.param(name, marks=[] if name in TRAINED else [pytest.mark.slow]) for name in FILES])
def test_trains_and_is_tested(name, standin, tmp_path):
    cfg = shrink(standin(read(name)))
    cfg.merge_from_dict(dict(work_dir=str(tmp_path), log_level='WARNING'))
    runner, record = Runner.from_cfg(cfg), Record()
    runner.register_hook(record)
    runner.train()
    metrics = runner.test()

    check_weights(runner, record.start, cfg)
    if cfg.model.get('queue'):
        check_queue(runner.model.queue, record.labels, cfg.model)
    results = json.loads((tmp_path / 'results.json').read_text())
    assert [entry['iter'] for entry in results['history']] == [2]
    assert len(results['per_class_accuracy']) == cfg.model.head.num_classes
    assert {'shot/all', 'calibration/ece'} <= metrics.keys()
    for key, value in metrics.items():  # the stand-ins for validation and test are the same images
        assert math.isfinite(value) and value == pytest.approx(results['last'][key]), key
    saved = load(tmp_path / 'iter_2.pth')
    assert len(saved['meta']['dataset_meta']['class_counts']['images']) == len(
        results['per_class_accuracy'])
    (tmp_path / 'iter_2.pth').unlink()  # up to 300 MB


def check_weights(runner, before, cfg):
    """Exactly what may learn has changed; what was loaded is the file's."""
    after = dict(runner.model.named_parameters())
    assert all(torch.isfinite(p).all() for p in after.values())
    averaged = {key for key in after if key.startswith('key_encoder.')}
    frozen = {key for key in after if cfg.model.backbone.type == 'FrozenConvResNet' and re.match(
        r'backbone\.(?!layer4\.2\.)(.+\.)?(conv\d|downsample\.0)\.', key)}
    learning = {key for key, p in after.items() if p.requires_grad}
    assert learning == after.keys() - averaged - frozen and 'head.fc.weight' in learning
    assert learning == {key for key, p in after.items() if not torch.equal(p, before[key])
                        and key not in averaged}
    # SGD's momentum exists where there was a gradient
    assert set(runner.optim_wrapper.optimizer.state) == {after[key] for key in learning}
    for key, value in runner.model.named_buffers():  # frozen or not
        if key.startswith('backbone.') and key.endswith('running_mean'):
            assert not torch.equal(value, before[key]), key
    if is_pretrained(cfg):
        weights = torch.load(cfg.model.backbone.init_cfg.checkpoint)
        loaded = {key.removeprefix('backbone.') for key in before if key.startswith('backbone.')}
        assert weights.keys() - loaded == {'fc.weight', 'fc.bias'} and loaded < weights.keys()
        for key in loaded:
            assert torch.equal(before[f'backbone.{key}'], weights[key]), key


def test_places_is_fine_tuned():
    """With torchvision's weights and PaCo's freezing rule, which check_weights looks at."""
    cfg = read('rescom_r152_places-lt')
    assert is_pretrained(cfg) and cfg.model.backbone.pop('init_cfg')
    assert cfg.model.backbone == dict(type='FrozenConvResNet', depth=152, trainable_blocks=1,
                                      zero_init_residual=False)


def check_queue(queue, labels, model):
    """It holds the images of both steps, as far as their classes have room."""
    assert labels.total() == 8 and queue._commits == 2
    size = model.queue.get('size', model.queue.get('keys_per_class', 0) * model.head.num_classes)
    assert queue.keys.shape == (size, model.projector.out_channels)
    room = Counter(queue.labels.tolist()) if model.queue.type != 'FIFOQueue' else labels
    assert Counter(queue.labels[queue.valid].tolist()) == labels & room


@pytest.mark.parametrize('name', [name for name in FILES if name not in TRAINED])
def test_is_built(name, standin, monkeypatch, tmp_path):
    """All that happens before the first step, with the checks of data against model."""
    cfg = standin(read(name))
    cfg.merge_from_dict(dict(work_dir=str(tmp_path), log_level='WARNING'))
    # what ResumeHook makes of the stock loop
    monkeypatch.setattr(ResumableEpochLoop, 'run', lambda loop: loop.dataloader)
    runner = Runner.from_cfg(cfg)
    loader = runner.train()
    assert len(loader.dataset) > 0 and len(runner.test_loop.dataloader.dataset) > 0
    assert [type(one).__name__ for one in runner.param_schedulers] == [
        one.type for one in cfg.param_scheduler]
    assert {type(hook).__name__ for hook in runner.hooks} >= {
        'ClassCountsHook', 'ClassBalancedQueueHook', 'KeyEncoderHook', 'ResultsHook'}
