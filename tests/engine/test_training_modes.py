"""Every way to train, by two processes: to the end, one queue on all ranks, stopped and resumed."""

import contextlib
import hashlib

import pytest
import torch
from mmengine._strategy import FSDPStrategy
from mmengine.dist import all_gather_object, get_rank
from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from mmengine.registry import OPTIM_WRAPPERS
from mmengine.runner import FlexibleRunner, Runner
from mmpretrain.registry import HOOKS, MODELS

from rescom_mm.engine import strategies
from rescom_mm.engine.strategies import check_strategy
from rescom_mm.models import KeyQueue, SiameseClassifier
from tests.resuming import few_config, in_processes, resumed_equals_straight, run
from tests.runs import ROOT, load


@HOOKS.register_module()
class EqualQueuesHook(Hook):
    """Compares the queues of all ranks bit for bit after each step, before a checkpoint."""

    priority = 'LOW'

    def __init__(self):
        self.steps = 0

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        queue, = (module for module in runner.model.modules() if isinstance(module, KeyQueue))
        state = queue.state_dict()
        assert {'_keys_PD', '_written_P', '_ptr_G', '_commits'} <= state.keys()
        digest = hashlib.sha256()
        for name in sorted(state):
            digest.update(state[name].cpu().numpy().tobytes())
        assert len(set(all_gather_object(digest.digest()))) == 1, runner.iter
        assert state['_commits'] == runner.iter + 1
        assert (state['_written_P'] == runner.iter + 1).any()
        self.steps += 1


@OPTIM_WRAPPERS.register_module()
class CPUScaledAmp(AmpOptimWrapper):
    """mmengine's wrapper on a CPU: fp16 and a scale that is at first too large, then grows."""

    def __init__(self, **kwargs):
        OptimWrapper.__init__(self, **kwargs)  # mmengine's own wants an accelerator
        self._scale_update_param = None
        self.loss_scaler = torch.amp.GradScaler('cpu', init_scale=2.**24, growth_interval=3)

    @contextlib.contextmanager
    def optim_context(self, model):
        with OptimWrapper.optim_context(self, model), torch.autocast('cpu', torch.float16):
            yield


def flexible(**options):
    """A ``FlexibleRunner`` with DDP on a CPU."""
    return dict(dict(kind=FlexibleRunner, default_hooks__ema=None, strategy=dict(
        type='DDPStrategy', model_wrapper=dict(
            type='MMDistributedDataParallel', device_ids=None, broadcast_buffers=False))),
        **options)


SYNC = dict(default_hooks__sync=dict(type='SyncBuffersHook'))
EMA_BUFFERS = dict(default_hooks__ema=dict(type='EMAHook', momentum=0.1, update_buffers=True))
FP16 = dict(optim_wrapper__type='CPUScaledAmp')
CHECKPOINTING = dict(activation_checkpointing=['backbone.layer1', 'backbone.layer3'])
MOCO = dict(config=ROOT / 'configs/ablation/moco-balsfx_tiny_digits-lt.py')
# compiled code depends on the sizes it has seen: see ResumeHook
COMPILED = dict(compile=dict(backend='aot_eager'), train_dataloader__drop_last=True)
# all with EMAHook (see few_config) but those with `flexible`
MODES = {
    'averaged buffers': SYNC,
    'EMA of buffers': EMA_BUFFERS,
    'accumulation': dict(optim_wrapper__accumulative_counts=3),
    'bfloat16': dict(optim_wrapper__type='BFloat16OptimWrapper'),
    'fp16': FP16,
    'fp16 accumulated': dict(FP16, optim_wrapper__accumulative_counts=2),
    'with_cp': dict(model__backbone__with_cp=True),
    'activation checkpointing': CHECKPOINTING,
    'all at once': dict(SYNC, **FP16, **CHECKPOINTING, **EMA_BUFFERS,
                        optim_wrapper__accumulative_counts=2),
    'moco, checkpointed': dict(MOCO, **SYNC, model__backbone__with_cp=True),
    'compiled': COMPILED,
    'compiled, dynamic': dict(compile=dict(backend='aot_eager', dynamic=True)),
    'compiled by inductor': dict(COMPILED, compile=True),
    'compiled, bfloat16, accumulation': dict(
        COMPILED, optim_wrapper=dict(type='BFloat16OptimWrapper', accumulative_counts=3)),
    'flexible': flexible(),
    'flexible, averaged buffers, accumulation': flexible(
        **SYNC, optim_wrapper__accumulative_counts=3),
    'flexible, fp16, with_cp': flexible(**FP16, model__backbone__with_cp=True),
    'flexible, compiled': flexible(**COMPILED),
}


def trains_and_resumes(folder, name):
    resumed = resumed_equals_straight(
        folder, default_hooks__queues=dict(type='EqualQueuesHook'), **MODES[name])
    epoch = 4 if MODES[name].get('train_dataloader__drop_last') else 5
    assert resumed.epoch == 2 and resumed.iter == 2 * epoch
    hook, = (hook for hook in resumed.hooks if isinstance(hook, EqualQueuesHook))
    assert hook.steps == 2 * epoch - 7
    if 'fp16' in name or name == 'all at once':
        scales = [load(folder / 'straight' / f'iter_{i}.pth')['optimizer']['loss_scaler']
                  for i in range(1, 2 * epoch + 1)]
        assert len({state['scale'] for state in scales}) > 2  # infinite gradients, and growth
        assert scales[-1] == resumed.optim_wrapper.loss_scaler.state_dict()


def trains(folder, **options):
    runner = run(folder, default_hooks__queues=dict(type='EqualQueuesHook'), **options)
    hook, = (hook for hook in runner.hooks if isinstance(hook, EqualQueuesHook))
    assert runner.epoch == 2 and hook.steps == 10


def fsdp_trains(folder):
    """``offload_to_cpu``: what ``state_dict_cfg='full'`` is apart from it."""
    def whole(kind):
        return dict(type=kind, offload_to_cpu=False, rank0_only=True)

    trains(folder, **flexible(strategy=dict(
        type='FSDPStrategy', state_dict_cfg=dict(
            state_dict_type='FULL_STATE_DICT', state_dict_config=whole('FullStateDictConfig'),
            optim_state_dict_config=whole('FullOptimStateDictConfig')),
        model_wrapper=dict(type='MMFullyShardedDataParallel', device_id=torch.device('cpu')))))
    if get_rank() == 0:  # the whole weights, as a model of one process has them
        weights = load(folder / 'iter_10.pth')['state_dict']
        assert weights['backbone.conv1.weight'].shape == (8, 3, 3, 3)
        assert weights['queue._commits'] == 10


@pytest.mark.slow
def test_fsdp(tmp_path):
    in_processes(2, fsdp_trains, tmp_path)


def fsdp_runner(state_dict_cfg, resume=False, encoder=None):
    runner = FlexibleRunner.__new__(FlexibleRunner)
    runner._hooks, runner._resume = [], resume
    runner.strategy = FSDPStrategy.__new__(FSDPStrategy)
    runner.strategy.logger = MMLogger.get_instance('fsdp')
    runner.strategy._init_state_dict_cfg(state_dict_cfg)
    runner.model = SiameseClassifier.__new__(SiameseClassifier)
    torch.nn.Module.__init__(runner.model)
    runner.model.key_encoder = encoder
    return runner


def test_what_fsdp_cannot_do(monkeypatch):
    said = []
    monkeypatch.setattr(MMLogger, 'warning', lambda self, text, *args: said.append(text))
    with pytest.raises(ValueError, match=r"set strategy\.state_dict_cfg='full'"):
        check_strategy(fsdp_runner('local'))
    with pytest.raises(ValueError, match=r'remove model\.key_encoder'):
        check_strategy(fsdp_runner('full', encoder=torch.nn.Linear(1, 1)))
    monkeypatch.setattr(strategies, 'get_device', lambda: 'cpu')
    with pytest.raises(ValueError, match='offload_to_cpu=False'):
        check_strategy(fsdp_runner('full'))
    monkeypatch.setattr(strategies, 'get_device', lambda: 'cuda')
    with pytest.raises(ValueError, match='start anew with DDPStrategy'):
        check_strategy(fsdp_runner('full', resume=True))
    assert not said
    check_strategy(fsdp_runner('full'))
    assert len(said) == 1 and 'this run cannot be resumed' in said[0]


def test_flexible_runner_has_no_averages(tmp_path):
    with pytest.raises(ValueError, match='EMAHook cannot save or resume its averages'):
        run(tmp_path, kind=FlexibleRunner)


@pytest.mark.slow
@pytest.mark.parametrize('name', MODES)
def test_modes(tmp_path, name):
    in_processes(2, trains_and_resumes, tmp_path, name)


@pytest.mark.slow
def test_all_at_once(tmp_path):
    """Averaged buffers, EMA, accumulation, fp16 with a scaler, checkpointing: for CI."""
    in_processes(2, trains_and_resumes, tmp_path, 'all at once')


@pytest.mark.slow
def test_wrapped_by_torch_compile(tmp_path):
    """``torch.compile(model)`` instead of mmengine's ``compile=True``: hooks find all they need."""
    cfg = few_config(tmp_path, train_cfg__max_epochs=1, **MOCO)
    cfg.default_hooks.pop('ema')
    model = torch.compile(MODELS.build(cfg.model), backend='eager')
    cfg.model = model
    runner = Runner(**{name: cfg[name] for name in (
        'model', 'work_dir', 'train_dataloader', 'train_cfg', 'optim_wrapper', 'default_hooks',
        'default_scope', 'experiment_name', 'log_level', 'randomness')})
    runner.train()
    assert runner.model is model and int(model.queue._commits) == runner.iter == 5
    assert model.key_encoder_steps == 6
