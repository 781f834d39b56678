"""Trainings of a plain ImageClassifier with none of this package's hooks.

The tests of this folder put the parts of mmengine, mmpretrain and torchrun into the situations of
our tests. The first line of a test's docstring, or the paragraph it begins, is what
docs/reliability.md says of the stock parts.
"""

import numpy as np

from tests.images import write_folders
from tests.resuming import run
from tests.runs import ROOT, SITECUSTOMIZE

BASELINE = ROOT / 'configs' / 'baselines' / 'ce_tiny_digits-lt.py'
OURS = ('resume', 'finite', 'class_counts', 'bad_images', 'queue', 'key_encoder', 'results', 'stop')


def checkpoints(**options):
    """mmengine's hook in the place of ours."""
    return dict(_delete_=True, type='CheckpointHook', **options)


def stock_options(**options):
    """For :func:`tests.runs.tiny_config`: the baseline with stock hooks."""
    return {**dict(config=BASELINE, without=OURS, val_evaluator=[dict(type='Accuracy')],
                   default_hooks__checkpoint=checkpoints(interval=1)), **options}


def stock_run(work_dir, **options):
    """:func:`tests.resuming.run` with stock parts; a checkpoint after each iteration."""
    return run(work_dir, **{**stock_options(model__projector=None, default_hooks__checkpoint=(
        checkpoints(by_epoch=False, interval=1, max_keep_ckpts=-1))), **options})


def stock_faults(**options):
    """For :func:`tests.faults.build`, which writes a checkpoint after each iteration."""
    options = {**stock_options(), **options}
    # ResultsHook is left out there already, and the schedule of checkpoints is its own
    options['without'] = [hook for hook in options['without'] if hook != 'results']
    options.pop('default_hooks__checkpoint')
    return dict(options, default_hooks__checkpoint__type='CheckpointHook')


CONFIG = '''
default_scope = 'mmpretrain'
custom_imports = dict(imports=['gloo'])
pipeline = [dict(type='LoadImageFromFile'), dict(type='Resize', scale=8), dict(type='PackInputs')]
train_dataloader = dict(batch_size=8, num_workers=0, persistent_workers=False, dataset=dict(
    type='CustomDataset', data_root={data!r}, pipeline=pipeline),
    sampler=dict(type='DefaultSampler', shuffle=True))
train_cfg = dict(by_epoch=True, max_epochs={epochs}, val_interval=1000)
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.01, momentum=0.9))
model = dict(
    type='ImageClassifier', data_preprocessor=dict(num_classes=2),
    backbone=dict(type='ResNet', depth=18, base_channels=8, stem_channels=8),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=2, in_channels=64,
              loss=dict(type='CrossEntropyLoss')))
model_wrapper_cfg = dict(type='MMDistributedDataParallel', device_ids=None,
                         broadcast_buffers=False)
default_hooks = dict(
    logger=dict(type='LoggerHook', interval=1),
    checkpoint=dict(type='CheckpointHook', interval=1, max_keep_ckpts={keep}))
randomness = dict(seed=0)
'''


# mmengine alone cannot begin a distributed training without a GPU
GLOO = '''
import atexit
import os
import torch.distributed as dist
if 'RANK' in os.environ and not dist.is_initialized():
    dist.init_process_group('gloo')
    atexit.register(lambda: dist.is_initialized() and dist.destroy_process_group())
'''


def plain_config(folder, epochs=3, keep=-1):
    """Writes 32 images of two classes, and a config of mmpretrain's parts alone: 4 iterations an
    epoch, a checkpoint after each epoch. Returns the config's path.

    The folder must be on the Python path.
    """
    write_folders(folder / 'data', (16, 16), np.random.default_rng(0))
    (folder / 'plain.py').write_text(CONFIG.format(data=str(folder / 'data'), epochs=epochs,
                                                   keep=keep))
    (folder / 'gloo.py').write_text(GLOO)
    (folder / 'sitecustomize.py').write_text(SITECUSTOMIZE)
    return folder / 'plain.py'
