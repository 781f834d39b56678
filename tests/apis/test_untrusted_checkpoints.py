"""Malicious checkpoints through the tools, ours and mmpretrain's, and what mmengine does alone."""

import http.server
import itertools
import runpy
import sys
import threading
from functools import partial
from pathlib import Path

import mmpretrain
import pytest
import torch
from mmengine.utils import digit_version

from rescom_mm.apis import test as our_test
from rescom_mm.apis import train as our_train
from rescom_mm.compat import _version
from rescom_mm.utils.safe_load import UnsafeCheckpointError
from tests import attacks
from tests.runs import SITECUSTOMIZE, TINY, load, run_tool, train

STOCK = Path(mmpretrain.__file__).parent / '.mim' / 'tools'
CASES = [('ours', 'train', 'programs'), ('ours', 'test', 'system'), ('stock', 'train', 'getattr'),
         ('stock', 'test', 'programs')]
MORE = [case for case in itertools.product(('ours', 'stock'), ('train', 'test'), [
    *attacks.PICKLES, 'programs']) if case not in CASES]


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp('trained')
    train(folder, epochs=1)
    return load(folder / 'epoch_1.pth')


def arguments(tool, file, work_dir):
    """Of a resumed training that is at its end already, or of a test."""
    named = ['--resume', file, '--no-persistent-workers'] if tool == 'train' else [file]
    return [*map(str, (TINY, *named, '--work-dir', work_dir)), '--no-pin-memory',
            '--cfg-options', 'train_cfg.max_epochs=1', 'log_level=ERROR']


@pytest.mark.parametrize('whose, tool, kind', [
    *CASES, *(pytest.param(*case, marks=pytest.mark.slow) for case in MORE)])
def test_tools(trained, tmp_path, whose, tool, kind, monkeypatch):
    """A pickle that calls something ends the tool; a config text is no program to it."""
    marker = tmp_path / 'marker'
    file = attacks.checkpoint(tmp_path / 'file.pth', kind, marker, trained)
    argv = arguments(tool, file, tmp_path)

    def run():
        if whose == 'ours':
            (our_train if tool == 'train' else our_test).main(argv)
        else:
            monkeypatch.setattr(sys, 'argv', [tool, *argv])
            runpy.run_path(str(STOCK / f'{tool}.py'), run_name='__main__')

    if kind == 'programs':
        run()
    else:
        with pytest.raises((UnsafeCheckpointError, ValueError), match='than a checkpoint needs'):
            run()
    assert not marker.exists()


@pytest.mark.slow
@pytest.mark.parametrize('tool', ['train', 'test'])
@pytest.mark.parametrize('kind', ['system', 'programs'])
def test_stock_tools_in_a_process_of_their_own(trained, tmp_path, tool, kind):
    """The config's custom_imports brings the protection along."""
    marker = tmp_path / 'marker'
    file = attacks.checkpoint(tmp_path / 'file.pth', kind, marker, trained)
    done = run_tool(STOCK / f'{tool}.py', *arguments(tool, file, tmp_path), check=False)
    assert not marker.exists() and (done.returncode == 0) == (kind == 'programs')
    if kind == 'system':
        assert 'was not loaded: it asks for ' in done.stdout.strip().splitlines()[-1]


ALONE = '''
import sys
from mmengine.infer import BaseInferencer
from mmengine.model import BaseModel
from mmengine.runner import CheckpointLoader, Runner
import torch

class Toy(BaseModel):
    def __init__(self):
        super().__init__()
        self.w = torch.nn.Parameter(torch.ones(2))

    def forward(self, inputs, mode):
        return dict(loss=self.w.sum() * inputs.sum())

class Inferencer(BaseInferencer):
    _init_pipeline = visualize = postprocess = lambda self, *args: None

how, file = sys.argv[1:]
if how == 'load':
    CheckpointLoader.load_checkpoint(file)
elif how == 'resume':
    data = dict(dataset=[torch.ones(1)], batch_size=1, sampler=dict(type='DefaultSampler'))
    runner = Runner(Toy(), 'work_dir', data, train_cfg=dict(by_epoch=True, max_epochs=1),
                    optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)), resume=True,
                    load_from=file)
    runner.train()
else:
    Inferencer(weights=file, scope='mmengine')
assert not any(name.startswith('rescom_mm') for name in sys.modules)
'''


@pytest.mark.slow
@pytest.mark.parametrize('how, kind', [
    ('load', 'system'), ('load', 'getattr'), ('http', 'system'), ('resume', 'config'),
    ('infer', 'cfg'), ('infer', 'hub')])
def test_what_mmengine_alone_executes(tmp_path, how, kind):
    """All of it, except what torch's own default refuses: mmengine 0.10.7 on torch 2.6 and newer
    can't load pickles from local files (nor its own checkpoints)."""
    marker = tmp_path / 'marker'
    attacks.checkpoint(tmp_path / 'file.pth', kind, marker)
    (tmp_path / 'alone.py').write_text(ALONE)
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), partial(
        http.server.SimpleHTTPRequestHandler, directory=str(tmp_path)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    file = f'http://127.0.0.1:{server.server_port}/file.pth' if how == 'http' else 'file.pth'
    (tmp_path / 'sitecustomize.py').write_text(SITECUSTOMIZE)
    try:
        done = run_tool('alone.py', how.replace('http', 'load'), file, cwd=tmp_path, check=False,
                        env=dict(PYTHONPATH=str(tmp_path), TORCH_HOME=str(tmp_path)))
    finally:
        server.shutdown()
    old_default = digit_version(torch.__version__) < digit_version('2.6')
    refused = how == 'load' and not old_default and _version('mmengine') is not None
    assert marker.exists() != refused, done.stdout
