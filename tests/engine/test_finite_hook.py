"""What a loss or gradient that is not finite leaves behind: nothing."""

import contextlib
import json

import pytest
import torch
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from mmengine.registry import OPTIM_WRAPPERS

from tests.faults import build, finite, only, same, state_of
from tests.runs import ROOT, TINY, load

MOCO = ROOT / 'configs/ablation/moco-balsfx_tiny_digits-lt.py'
BASELINE = ROOT / 'configs/baselines/ce_tiny_digits-lt.py'


@OPTIM_WRAPPERS.register_module()
class CPUScalerWrapper(AmpOptimWrapper):
    """AmpOptimWrapper, which wants an accelerator, with the CPU's scaler."""

    def __init__(self, enabled=True, **kwargs):
        OptimWrapper.__init__(self, **kwargs)
        self.loss_scaler = torch.amp.GradScaler('cpu', init_scale=1024.0, enabled=enabled)
        self._scale_update_param = self.cast_dtype = None

    @contextlib.contextmanager
    def optim_context(self, model):
        with OptimWrapper.optim_context(self, model), torch.autocast('cpu', torch.bfloat16):
            yield


ENDINGS = dict(
    nan={}, baseline=dict(config=BASELINE),
    accumulated=dict(optim_wrapper__accumulative_counts=2),
    scaled=dict(optim_wrapper__type='CPUScalerWrapper'),
    ema=dict(config=MOCO, default_hooks__ema=dict(type='EMAHook', momentum=0.1)))
MORE_ENDINGS = dict(
    inf={}, clipped=dict(optim_wrapper__clip_grad=dict(max_norm=1.0)),
    clipped_by_value=dict(optim_wrapper__clip_grad=dict(type='value', clip_value=1.0)),
    groups=dict(optim_wrapper__paramwise_cfg=dict(norm_decay_mult=0.0)),
    adam=dict(optim_wrapper__optimizer=dict(_delete_=True, type='AdamW', lr=0.01)),
    bfloat16=dict(optim_wrapper=dict(type='CPUScalerWrapper', enabled=False)))


@pytest.mark.parametrize('case', [*ENDINGS, *(pytest.param(case, marks=pytest.mark.slow)
                                              for case in MORE_ENDINGS)])
def test_the_run_ends_and_nothing_is_spoilt(case, tmp_path):
    kind = 'inf' if case == 'inf' else 'nan'
    runner = build(tmp_path, {4: kind}, **{**ENDINGS, **MORE_ENDINGS}[case])
    term = 'loss' if case == 'baseline' else 'loss_cls'
    with pytest.raises(FloatingPointError) as error:
        runner.train()
    message = str(error.value)
    assert f'iteration 4: {term} is {kind}. Samples: sample ' in message and '\n' not in message
    assert f'Last checkpoint: {tmp_path}/iter_3.pth' in message
    record = json.loads((tmp_path / 'not_finite_iter_4_rank_0.json').read_text())
    assert record['losses'] == {'loss': kind, term: kind} and len(record['samples']) == 8
    assert sorted(file.name for file in tmp_path.glob('iter_*.pth')) == [
        f'iter_{i}.pth' for i in (1, 2, 3)]

    after, before = state_of(runner), runner.states[3]
    assert len(runner.states) == 4 and finite(after)
    for part in ('model.queue.', 'ema.', 'model.key_encoder.steps',
                 'model.key_encoder.module.head'):
        assert same(only(after, part), only(before, part)), part
    if case == 'scaled':  # the scaler's skipping is exact
        assert same(only(after, 'optimizer.'), only(before, 'optimizer.'))


@pytest.mark.stack
def test_gradients_of_a_finite_loss(tmp_path):
    runner = build(tmp_path, {2: 'gradient'})
    with pytest.raises(FloatingPointError, match='iteration 2: the gradients are not finite, '
                                                 'although the losses are'):
        runner.train()
    assert finite(state_of(runner))


def test_infinite_gradients_are_the_scalers_work(tmp_path):
    runner = build(tmp_path, {3: 'gradient'}, optim_wrapper__type='CPUScalerWrapper')
    runner.train()
    assert runner.iter == 7 and runner.optim_wrapper.loss_scaler.get_scale() == 512
    learnt = [only(state, 'optimizer.') for state in runner.states]
    assert same(learnt[2], learnt[3]) and not same(learnt[3], learnt[4])


@pytest.mark.slow
def test_compiled(tmp_path):
    runner = build(tmp_path, {3: 'gradient'}, compile=dict(backend='aot_eager'))
    with pytest.raises(FloatingPointError, match='iteration 3: the gradients are not finite'):
        runner.train()
    assert finite(state_of(runner))


def test_sound_run_is_the_same_bits_with_and_without_the_hook(tmp_path):
    states = []
    for options in (dict(without=['finite']), {}, dict(max_skipped=2)):
        runner = build(tmp_path / str(len(states)), {}, **options)
        runner.train()
        states.append(runner.states)
    for others in states[1:]:
        assert all(same(a, b) for a, b in zip(states[0], others))


@pytest.mark.parametrize('config, wrapper', [(TINY, 'OptimWrapper'), (MOCO, 'CPUScalerWrapper')],
                         ids=['rescom', 'moco-scaled'])
def test_skipped_steps_change_nothing(tmp_path, config, wrapper):
    second = 'gradient' if wrapper == 'OptimWrapper' else 'inf'
    runner = build(tmp_path, {3: 'nan', 5: second}, config=config, max_skipped=2,
                   optim_wrapper__type=wrapper,
                   default_hooks__ema=dict(type='EMAHook', momentum=0.1))
    runner.train()
    unchanged = [i for i in range(1, 8) if same(runner.states[i], runner.states[i - 1])]
    assert unchanged == [3, 5] and finite(runner.states[-1])
    assert load(tmp_path / 'iter_7.pth')['message_hub']['runtime_info'][
        'rescom_finite/skipped'] == 2


def test_a_resumed_run_goes_on_counting(tmp_path):
    runner = build(tmp_path, {3: 'nan'}, max_skipped=1)
    runner.train()
    resumed = build(tmp_path, {2: 'nan'}, max_skipped=1, resume=True,
                    load_from=str(tmp_path / 'iter_4.pth'))
    with pytest.raises(FloatingPointError, match=r'1 such steps were skipped before it'):
        resumed.train()
    assert finite(state_of(resumed))


def test_accumulated_step_is_skipped_as_a_whole(tmp_path):
    """Two iterations a step: the bad one is the first of the second step, the last of the third."""
    runner = build(tmp_path, {3: 'nan', 6: 'nan'}, max_skipped=2,
                   optim_wrapper__accumulative_counts=2)
    runner.train()
    states = runner.states
    assert [i for i in range(1, 8) if same(states[i], states[i - 1])] == [3, 6]
    learnt = [only(state, 'optimizer.') for state in states]
    # 7 is the last iteration, and a step of its own
    assert [i for i in range(1, 8) if not same(learnt[i], learnt[i - 1])] == [2, 7]


def test_bad_option():
    from rescom_mm.engine import FiniteHook
    with pytest.raises(ValueError, match='max_skipped must be a number of steps'):
        FiniteHook(max_skipped=-1)
    for value in (0.5, 'many'):
        with pytest.raises(TypeError, match='FiniteHook: max_skipped must be an integer'):
            FiniteHook(max_skipped=value)
