"""Trainings by two processes, over the launch script."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.runs import ROOT, TINY

HOOKS = """
import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS
from rescom_mm.apis import train

@HOOKS.register_module()
class DumpHook(Hook):
    def after_train(self, runner):
        torch.save(runner.model.module.state_dict(), f'{runner.work_dir}/rank{get_rank()}.pth')

@HOOKS.register_module()
class ThenHook(Hook):  # another training in the same processes: to start them takes longest
    def __init__(self, argv):
        self.argv = argv

    def after_run(self, runner):
        cfg = train.build_config(train.parse_args(self.argv))
        cfg.model_wrapper_cfg = runner.cfg.get('model_wrapper_cfg')
        Runner.from_cfg(cfg).train()
"""


@pytest.fixture(scope='module')
def two_processes(tmp_path_factory):
    """Folder of two trainings, rescom and moco, by two processes; gloo without a GPU."""
    folder = tmp_path_factory.mktemp('two')
    (folder / 'hooks.py').write_text(HOOKS)
    then = dict(type='ThenHook', argv=[str(folder / 'moco.py'), '--work-dir', str(folder / 'moco'),
                                       '--launcher', 'pytorch'])
    for name, config, hooks in (
            ('rescom', TINY, dict(then=then)),
            ('moco', ROOT / 'configs/ablation/moco-balsfx_tiny_digits-lt.py', {})):
        hooks = dict(hooks, dump=dict(type='DumpHook'), sync=dict(type='SyncBuffersHook'))
        (folder / f'{name}.py').write_text(f'''
_base_ = {str(config)!r}
custom_imports = dict(imports=['rescom_mm', 'hooks'])
default_hooks = {hooks!r}
train_dataloader = dict(batch_size=40)
val_dataloader = dict(dataset=dict(split='tune_val'))  # so that the test list is tested
train_cfg = dict(max_epochs=2)
''')
    done = subprocess.run(
        ['bash', 'tools/dist_train.sh', str(folder / 'rescom.py'), '2', '--work-dir',
         str(folder / 'rescom')],
        cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300,
        env={**os.environ, 'PATH': f'{Path(sys.executable).parent}:{os.environ["PATH"]}',
             'PYTHONPATH': f'{folder}:{os.environ.get("PYTHONPATH", "")}'})
    assert done.returncode == 0, done.stdout[-3000:]
    return folder


@pytest.mark.parametrize('name', ['rescom', 'moco'])
def test_two_processes(two_processes, name):
    """I8 and I1: another world size, short last batches, averaged buffers."""
    folder = two_processes / name
    results = json.loads((folder / 'results.json').read_text())
    assert results['config'] == f'{name}.py'
    assert results['batch_size'] == dict(per_process=40, processes=2)
    assert results['iterations'] == 12  # 431 images over 2 x 40, twice
    assert results['final']['list'] == 'test' and len(results['per_class_accuracy']) == 10
    states = [torch.load(folder / f'rank{rank}.pth') for rank in range(2)]
    for key in states[0]:
        assert torch.equal(states[0][key], states[1][key]), key
    assert states[0]['queue._commits'] == 12 and (states[0]['queue._written_P'][1:] >= 0).all()
    assert int(states[0]['queue._ptr_G'].sum()) > 0
