"""What makes a run another experiment, and which lists are one."""

import pytest
from mmengine.config import Config

import rescom_mm  # noqa: F401
from rescom_mm.utils.experiment import BATCH, UNSET, changes, digest, experiment, same_list
from tests.runs import ROOT

PATH = ROOT / 'configs' / 'rescom' / 'rescom_r32_cifar100-lt-if100.py'
BASE = Config.fromfile(PATH)


def changed(**options):
    """Through the text that results.json holds, as the page reads it."""
    cfg = Config.fromfile(PATH)
    cfg.merge_from_dict({key.replace('__', '.'): value for key, value in options.items()})
    return Config.fromstring(cfg.pretty_text, '.py')


@pytest.mark.parametrize('options', [
    {}, dict(work_dir='/x', launcher='pytorch', experiment_name='y', resume=True, load_from='z'),
    dict(randomness__seed=7, randomness__deterministic=True, log_level='DEBUG'),
    dict(train_dataloader=dict(num_workers=0, persistent_workers=False, pin_memory=True),
         val_dataloader__batch_size=7),
    dict(train_dataloader__collate_fn=dict(type='default_collate')),
    dict(train_dataloader__dataset=dict(data_root='/data', check_md5=False)),
    dict(default_hooks__checkpoint__interval=4, default_hooks__logger__interval=7,
         default_hooks__visualization__enable=True, train_cfg__val_interval=10),
    dict(env_cfg__cudnn_benchmark=True, visualizer__name='tb', data_root='/data'),
    dict(model_wrapper_cfg=dict(type='MMDistributedDataParallel', device_ids=None)),
    dict(val_cfg=None, val_dataloader=None, val_evaluator=None),
    dict(auto_scale_lr__enable=True),  # at the batch size that it is meant for: by 1
])
def test_irrelevant(options):
    assert changes(changed(**options), BASE, 128) == {}


@pytest.mark.parametrize('options, expected', [
    (dict(train_cfg__max_epochs=16), {'train_cfg.max_epochs': [400, 16]}),
    (dict(param_scheduler=[dict(type='LinearLR', start_factor=0.1, begin=0, end=5), dict(
        type='MultiStepLR', milestones=[13, 15], gamma=0.1)]),
     {'param_scheduler[0].end': [10, 5], 'param_scheduler[1].milestones': [[320, 360], [13, 15]]}),
    (dict(param_scheduler=None), {'param_scheduler': [
        [dict(type='LinearLR', start_factor=0.1, begin=0, end=10),
         dict(type='MultiStepLR', milestones=[320, 360], gamma=0.1)], None]}),
    (dict(load_from='w.pth'), {'load_from': [None, 'w.pth']}),
    (dict(train_dataloader__dataset__seed=1), {'train_dataloader.dataset.seed': [0, 1]}),
    (dict(train_dataloader__collate_fn__type='mine'),
     {'train_dataloader.collate_fn.type': ['default_collate', 'mine']}),
    (dict(default_hooks__ema=dict(type='EMAHook')),
     {'default_hooks.ema': [UNSET, dict(type='EMAHook')]}),
    (dict(optim_wrapper__type='AmpOptimWrapper'),
     {'optim_wrapper.type': [UNSET, 'AmpOptimWrapper']}),
    (dict(model__queue=None), {'model.queue': [
        dict(type='ClassBalancedQueue', keys_per_class=10), None]}),
    (dict(val_dataloader__dataset__split='train'),
     {'val_dataloader.dataset.split': ['test', 'train']}),
])
def test_changes(options, expected):
    assert changes(changed(**options), BASE, 128) == expected


def test_global_batch_size():
    spread = changed(train_dataloader__batch_size=32)  # over 4 processes
    assert changes(spread, BASE, 128) == {} and digest(experiment(spread)) == digest(
        experiment(BASE))
    assert changes(BASE, BASE, 256) == {BATCH: [128, 256]}
    scaled = changed(auto_scale_lr__enable=True)
    assert changes(scaled, BASE, 256) == {BATCH: [128, 256],
                                          'auto_scale_lr.enable': [UNSET, True]}
    unscaled = Config(dict(train_dataloader=dict(batch_size=8)))
    assert changes(unscaled, unscaled, 8) == {}
    assert changes(unscaled, unscaled, 16) == {BATCH: [8, 16]}


def test_digest_is_that_of_the_contents():
    assert digest(experiment(BASE)) == digest(experiment(changed(work_dir='/x')))
    assert digest(experiment(BASE)) != digest(experiment(changed(model__queue__keys_per_class=9)))


@pytest.mark.parametrize('config, expected', [
    ('rescom_r32_cifar100-lt-if100', True), ('rescom_r32_cifar10-lt-if10', True),
    ('rescom_tiny_digits-lt', True), ('rescom_r50_inat18', True),
    ('rescom_r50_imagenet-lt', False), ('rescom_r152_places-lt', False)])
def test_which_benchmarks_have_one_list(config, expected):
    assert same_list(Config.fromfile(ROOT / 'configs' / 'rescom' / f'{config}.py')) == expected


def test_same_list():
    def lists(val, test):
        return same_list(Config(dict(val_dataloader=val and dict(batch_size=1, dataset=val),
                                     test_dataloader=test and dict(batch_size=2, dataset=test))))

    one = dict(type='CustomDataset', data_root='a', pipeline=[dict(type='PackInputs')])
    assert lists(one, dict(one, lazy_init=True, test_mode=True))
    assert not lists(one, dict(one, data_root='b'))
    assert not lists(one, dict(one, pipeline=[]))
    assert not lists(one, None) and not lists(None, one) and not lists(None, None)
    wrapped = dict(type='LongTailedDataset', imbalance_factor=2, dataset=one)
    assert lists(wrapped, wrapped) and not lists(wrapped, one)
    species = dict(type='INaturalist18', data_root='a', split='val')
    assert lists(species, dict(species, split='test'))
    assert not lists(species, dict(species, split='train'))
    assert not lists(species, dict(species, split='test', ann_file='other.txt'))
