"""Stop signals: one checkpoint, at the same iteration of all ranks, and exit code 75."""

import json
import os
import signal
import time
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner

from rescom_mm.engine import StopHook
from rescom_mm.utils import StepFlags, StopRequested
from rescom_mm.utils.stop import STOP_SIGNALS
from tests import forked
from tests.runs import ROOT, load, tiny_config, train

BATCHES = dict(train_dataloader__batch_size=128)  # four an epoch
NO_VALIDATION = dict(BATCHES, train_cfg__val_interval=1000)
PROMISED = 30  # seconds


@pytest.fixture(autouse=True)
def _signals():
    """Handlers as they were, also after a training that was stopped."""
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.stack
def test_whole_process_group_is_signalled(tmp_path):
    """The workers of the data loaders, persistent ones too, go on until the training stops."""
    loaders = {f'{name}_dataloader__{key}': value for name in ('train', 'val')
               for key, value in dict(num_workers=2, persistent_workers=True).items()}
    options = dict(epochs=9, pause=0.2, **BATCHES, **loaders)
    process = forked.start(tmp_path, **options)
    forked.wait_for(tmp_path, 'iter', 6)  # after a validation
    workers = children(process.pid)
    assert len(workers) == 4
    os.killpg(process.pid, signal.SIGUSR1)
    os.killpg(process.pid, signal.SIGTERM)
    code, seconds = forked.end(process)
    assert code == 75 and seconds < PROMISED
    iteration = [event[2] for event in forked.events(tmp_path) if event[0] == 'iter'][-1] + 1
    meta = load(tmp_path / f'stop_iter_{iteration}.pth')['meta']
    assert meta['epoch'] == 1 and meta['iter'] == iteration < 9
    assert (tmp_path / 'epoch_1.pth').is_file()  # not in its place
    assert not any(Path(f'/proc/{pid}').exists() for pid in workers)
    log = (tmp_path / 'log0').read_text()
    assert 'Traceback' not in log and f'go on from {tmp_path}/stop_iter_{iteration}.pth' in log


def children(pid):
    return [int(child) for child in
            Path(f'/proc/{pid}/task/{pid}/children').read_text().split()]


@pytest.mark.slow
def test_killed_worker_ends_the_run(tmp_path):
    """With a message, and although other workers are still there."""
    process = forked.start(tmp_path, pause=0.2, train_dataloader__num_workers=2,
                           train_dataloader__persistent_workers=True, **NO_VALIDATION)
    forked.wait_for(tmp_path, 'iter', 1)
    workers = children(process.pid)
    os.kill(workers[0], signal.SIGKILL)
    code, seconds = forked.end(process)
    assert code == 1 and seconds < PROMISED
    assert f'DataLoader worker (pid(s) {workers[0]}) exited unexpectedly' in (
        log := (tmp_path / 'log0').read_text()) or f'(pid {workers[0]}) is killed by signal' in log
    assert not any(Path(f'/proc/{pid}').exists() for pid in workers)


def test_inside_a_validation(tmp_path):
    """What is stored is the trained weights, not the averaged ones that are being validated."""
    options = dict(BATCHES, default_hooks__ema=dict(type='EMAHook', momentum=0.1))
    process = forked.start(tmp_path / 'stopped', pause=0.5, default_hooks__checkpoint__interval=2,
                           **options)
    forked.wait_for(tmp_path / 'stopped', 'val_iter', 4)
    os.kill(process.pid, signal.SIGTERM)
    assert forked.end(process)[0] == 75
    assert forked.end(forked.start(tmp_path / 'straight', epochs=1, **options))[0] == 0
    stopped = load(tmp_path / 'stopped' / 'stop_iter_4.pth')
    straight = load(tmp_path / 'straight' / 'epoch_1.pth')
    assert stopped['meta']['epoch'] == 1 and stopped['meta']['iter'] == 4
    for part in ('state_dict', 'ema_state_dict'):
        for name, value in straight[part].items():
            assert torch.equal(stopped[part][name], value), (part, name)
    differ = [name for name, value in straight['state_dict'].items()
              if not torch.equal(value, straight['ema_state_dict'][f'module.{name}'])]
    assert differ  # else the comparison would show nothing


@pytest.mark.slow
def test_state_that_is_on_the_disk_already_is_not_written_again(tmp_path):
    process = forked.start(tmp_path, pause=0.5, **BATCHES)
    forked.wait_for(tmp_path, 'val_iter', 4)
    os.kill(process.pid, signal.SIGTERM)
    assert forked.end(process)[0] == 75
    assert [path.name for path in tmp_path.glob('*.pth')] == ['epoch_1.pth']


@pytest.mark.parametrize('config', [
    'rescom/rescom_tiny_digits-lt.py',
    pytest.param('baselines/ce_tiny_digits-lt.py', marks=pytest.mark.slow)])
def test_one_rank_is_signalled(tmp_path, config):
    """All stop at the same iteration, with one collective a step, also without a queue."""
    options = dict(config=ROOT / 'configs' / config, epochs=50, pause=0.1,
                   train_dataloader__batch_size=64, train_cfg__val_interval=1000)
    ranks = forked.start_ranks(tmp_path, 2, **options)
    forked.wait_for(tmp_path, 'iter', 5)
    os.kill(ranks[1].pid, signal.SIGUSR1)
    codes, seconds = forked.end(*ranks)
    assert codes == [75, 75] and seconds < PROMISED
    events = forked.events(tmp_path)
    stops = [event[2] for event in events if event[0] == 'gather_state'][-2:]
    last = [max(event[2] for event in events if event[:2] == ['iter', rank]) for rank in (0, 1)]
    assert stops == last and stops[0] == stops[1]
    assert load(tmp_path / f'stop_iter_{stops[0] + 1}.pth')['meta']['iter'] == stops[0] + 1
    for rank in range(2):
        counts = [event[3] for event in events if event[:2] == ['iter', rank]]
        within_epoch = [after - before for k, (before, after) in enumerate(pairwise(counts))
                        if (k + 1) % 4]
        assert set(within_epoch) == {1}
    assert 'Traceback' not in (tmp_path / 'log0').read_text() + (tmp_path / 'log1').read_text()


@pytest.mark.slow
def test_one_rank_is_signalled_in_a_validation(tmp_path):
    """Ranks with different numbers of batches are asked as often as all of them can answer."""
    ranks = forked.start_ranks(
        tmp_path, 2, pause=0.2, train_dataloader__batch_size=64, val_dataloader__batch_size=83,
        val_dataloader__sampler__round_up=False, default_hooks__checkpoint__interval=2)
    forked.wait_for(tmp_path, 'val_iter', 4, 1)
    os.kill(ranks[0].pid, signal.SIGTERM)
    assert forked.end(*ranks)[0] == [75, 75]
    assert (tmp_path / 'stop_iter_4.pth').is_file()


def stopped(monkeypatch, work_dir, stage, moment=0, without=('results',), **options):
    """A run in this process that gets a signal at the n-th time that hooks are called."""
    runner = Runner.from_cfg(tiny_config(work_dir, without=without, **options))
    call_hook, calls = runner.call_hook, []

    def call(name, **kwargs):
        calls.append(name)
        if name == stage and calls.count(stage) == moment + 1:
            os.kill(os.getpid(), signal.SIGTERM)
        call_hook(name, **kwargs)

    monkeypatch.setattr(runner, 'call_hook', call)
    with pytest.raises(SystemExit) as caught:
        runner.train()
    assert isinstance(caught.value, StopRequested) and caught.value.code == 75


def test_before_the_training_there_is_nothing_to_save(tmp_path, monkeypatch, capfd):
    stopped(monkeypatch, tmp_path, 'before_train', **NO_VALIDATION)
    assert not list(tmp_path.glob('*.pth')) and 'nothing to save' in capfd.readouterr().err


@pytest.mark.stack
def test_stop_inside_an_epoch_and_go_on(tmp_path, monkeypatch):
    """The file goes when the next regular one is there."""
    stopped(monkeypatch, tmp_path, 'before_train_iter', 5, **NO_VALIDATION)
    assert {path.name for path in tmp_path.glob('*.pth')} == {'epoch_1.pth', 'stop_iter_6.pth'}
    checkpoint = load(tmp_path / 'stop_iter_6.pth')
    assert checkpoint['meta']['epoch'] == 1 and checkpoint['meta']['iter'] == 6
    # what decides later about regular ones is as in a run that goes on
    hub = checkpoint['message_hub']['runtime_info']
    assert hub['last_ckpt'].endswith('epoch_1.pth') and hub['keep_ckpt_ids'] == [1]
    runner = train(tmp_path, resume=True, epochs=2, without=['results'], **NO_VALIDATION)
    assert [path.name for path in tmp_path.glob('*.pth')] == ['epoch_2.pth']
    assert runner.message_hub.get_info('keep_ckpt_ids') == [2]


def test_checkpoint_that_is_due_at_that_moment_is_not_written_twice(tmp_path, monkeypatch):
    """In an iteration-based loop, and while gradients accumulate."""
    stopped(monkeypatch, tmp_path, 'before_train_iter', 2, param_scheduler=None, train_cfg=dict(
        _delete_=True, type='IterBasedTrainLoop', max_iters=9, val_interval=100),
        default_hooks__checkpoint__by_epoch=False, optim_wrapper__accumulative_counts=4)
    assert [path.name for path in tmp_path.glob('*.pth')] == ['iter_3.pth']


def test_repeated_signal(monkeypatch, tmp_path):
    """It may come twice, from launcher and batch system; after 30 s it ends the process."""
    hook, sent, now = StopHook(), [], [100.0]
    hook._flags, hook._training = StepFlags(Runner.__new__(Runner)), True
    monkeypatch.setattr(time, 'monotonic', lambda: now[0])
    monkeypatch.setattr(os, 'kill', lambda *args: sent.append(args))
    for moment in (100, 101, 129, 131):
        now[0] = moment
        assert not sent
        hook._on_signal(signal.SIGTERM, None)
    assert sent == [(os.getpid(), signal.SIGTERM)]
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_after_an_error_the_signals_are_as_before(tmp_path, monkeypatch):
    before = [signal.getsignal(number) for number in STOP_SIGNALS]
    runner = Runner.from_cfg(tiny_config(tmp_path, without=['results'], **NO_VALIDATION))
    monkeypatch.setattr(runner.train_loop, 'run_iter', lambda *args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        runner.train()
    assert [signal.getsignal(number) for number in STOP_SIGNALS] == before


def test_in_the_test_at_the_end(tmp_path, monkeypatch):
    """The training is over and its checkpoint there: a resumed run makes the test alone."""
    stopped(monkeypatch, tmp_path, 'before_test_iter', 1, without=(), epochs=1,
            test_dataloader__dataset__split='tune_val', test_dataloader__batch_size=50)
    assert [path.name for path in tmp_path.glob('*.pth')] == ['epoch_1.pth']
    assert json.loads((tmp_path / 'results.json').read_text())['final'] is None


def test_handlers_are_put_back_and_a_stock_checkpoint_hook_is_warned_of(tmp_path):
    before = [signal.getsignal(number) for number in STOP_SIGNALS]
    train(tmp_path, epochs=1, **NO_VALIDATION, without=['results'], log_level='WARNING',
          default_hooks__checkpoint=dict(_delete_=True, type='CheckpointHook', interval=1))
    assert [signal.getsignal(number) for number in STOP_SIGNALS] == before
    log = next(tmp_path.glob('*/*.log')).read_text()
    assert "set type='WholeCheckpointHook'" in log and CheckpointHook.__name__ in log
