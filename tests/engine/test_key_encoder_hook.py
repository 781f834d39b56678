"""The key encoder through real trainings: its path, its keys, its checkpoints."""

import copy
import shutil

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS

from tests.runs import ROOT, load, tiny_config, train

pytestmark = pytest.mark.usefixtures('no_picture')
MOCO = ROOT / 'configs' / 'ablation' / 'moco-balsfx_tiny_digits-lt.py'
PARTS = ('backbone.', 'projector.', 'head.')


@HOOKS.register_module()
class RecordWeights(Hook):
    """Keeps the weights of encoder and key encoder at the start and after every iteration."""

    priority = 'LOWEST'

    def __init__(self):
        self.encoder, self.keys = [], []

    def record(self, runner):
        state = copy.deepcopy(runner.model.state_dict())
        self.encoder.append({k: v.double() for k, v in state.items() if k.startswith(PARTS)})
        prefix = 'key_encoder.module.'
        self.keys.append({k[len(prefix):]: v.double() for k, v in state.items()
                          if k.startswith(prefix)})

    def before_train(self, runner):
        self.record(runner)

    def after_train_iter(self, runner, *args, **kwargs):
        self.record(runner)


def recorded(tmp_path, iters, **options):
    cfg = tiny_config(tmp_path, config=MOCO, model__key_encoder__momentum=0.1,
                      default_hooks__record=dict(type='RecordWeights'),
                      train_cfg=dict(_delete_=True, type='IterBasedTrainLoop', max_iters=iters,
                                     val_interval=iters),
                      default_hooks__checkpoint=dict(by_epoch=False, interval=iters),
                      param_scheduler=None, **options)
    runner = Runner.from_cfg(cfg)
    runner.train()
    return runner, next(hook for hook in runner.hooks if isinstance(hook, RecordWeights))


def closed_form(history, m):
    """(1 - m)^T theta_0 + sum of m (1 - m)^(T - t) theta_t, from the definition."""
    T = len(history) - 1
    return {name: (1 - m)**T * history[0][name]
            + sum(m * (1 - m)**(T - t) * history[t][name] for t in range(1, T + 1))
            for name in history[0]}


def statistics(name):
    return 'running_' in name or 'num_batches' in name


@pytest.mark.stack
@pytest.mark.parametrize('accumulate', [1, 2])
def test_weights_follow_the_closed_form(tmp_path, accumulate):
    """Three steps of the optimiser, in three iterations or in six."""
    runner, record = recorded(tmp_path, 3 * accumulate,
                              optim_wrapper__accumulative_counts=accumulate)
    assert record.keys[0].keys() == record.encoder[0].keys()
    for name, value in record.keys[0].items():  # a copy to begin with
        assert torch.equal(value, record.encoder[0][name]), name
    for t in range(1, 3 * accumulate + 1):
        if t % accumulate:  # an iteration that only accumulates
            assert all(torch.equal(value, record.keys[t - 1][name])
                       for name, value in record.keys[t].items() if not statistics(name))
    expected = closed_form(record.encoder[::accumulate], 0.1)
    moved = 0
    for name, value in record.keys[-1].items():
        if statistics(name):
            assert torch.equal(value, record.encoder[-1][name]), name
        else:
            torch.testing.assert_close(value, expected[name], rtol=1e-5, atol=1e-6)
            moved += not torch.allclose(expected[name], record.encoder[-1][name], atol=1e-4)
    assert moved > 20  # the average is another thing than the encoder itself
    assert runner.model.key_encoder_steps == 4  # the copy, and three


def test_never_optimised(tmp_path):
    runner, _ = recorded(tmp_path, 2)
    model = runner.model
    own = set(model.key_encoder.parameters())
    assert own and not any(p.requires_grad or p.grad is not None for p in own)
    assert not own & set(runner.optim_wrapper.optimizer.state)
    assert {p for p in model.parameters() if p.requires_grad} == set(
        runner.optim_wrapper.optimizer.state)


def test_queue_holds_the_key_encoders_keys(tmp_path):
    """Whichever view the queue's hook names: a query never gets there."""
    for name in ('first', 'second'):
        cfg = tiny_config(tmp_path / name, config=MOCO, epochs=1,
                          default_hooks__queue__enqueue_view=name)
        runner = Runner.from_cfg(cfg)
        keys = []
        runner.model.key_encoder.register_forward_hook(lambda m, a, out, to=keys: to.append(out))
        runner.train()
        assert len(keys) == 7  # one forward pass an iteration
        every = torch.cat(keys)[-100:]
        order = torch.arange(len(torch.cat(keys)))[-100:] % 100
        assert torch.equal(runner.model.queue.keys[order], every)


def test_checkpoint_resume_and_load_from(tmp_path):
    runner = train(tmp_path, config=MOCO)
    saved = load(tmp_path / 'epoch_2.pth')['state_dict']
    assert saved['key_encoder.steps'] == 15
    shutil.copytree(tmp_path, tmp_path.parent / 'resumed')
    (tmp_path.parent / 'resumed' / 'last_checkpoint').write_text(
        str(tmp_path.parent / 'resumed' / 'epoch_2.pth'))
    resumed = train(tmp_path.parent / 'resumed', config=MOCO, resume=True)
    for key, value in runner.model.state_dict().items():
        assert torch.equal(value, saved[key]), key
        assert torch.equal(value, resumed.model.state_dict()[key]), key
    again = train(tmp_path / 'again', config=MOCO)  # the same run once more
    for key, value in again.model.state_dict().items():
        assert torch.equal(value, saved[key]), key

    for name, options in dict(load=dict(load_from=str(tmp_path / 'epoch_2.pth')),
                              nothing_to_resume=dict(resume=True)).items():
        _, record = recorded(tmp_path / name, 1, **options)
        assert all(torch.equal(value, record.encoder[0][key])
                   for key, value in record.keys[0].items()), name
        same = torch.equal(record.encoder[0]['head.fc.weight'], saved['head.fc.weight'].double())
        assert same == (name == 'load')


def test_with_ema_of_the_whole_model(tmp_path):
    train(tmp_path, config=MOCO, epochs=1, default_hooks__ema=dict(type='EMAHook', momentum=0.1))
    assert 'module.key_encoder.steps' in load(tmp_path / 'epoch_1.pth')['ema_state_dict']


def test_no_hook_names_the_line_to_add(tmp_path):
    with pytest.raises(ValueError, match="type='KeyEncoderHook'"):
        train(tmp_path, config=MOCO, without=['key_encoder'])
