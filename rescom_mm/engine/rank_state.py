"""What the ranks of a training hold each for itself, and a checkpoint of rank 0 would lose."""

from __future__ import annotations

import hashlib

import torch
from mmengine.dist import broadcast_object_list, gather_object, get_rank, get_world_size
from mmengine.hooks import EMAHook
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.runner import Runner
from torch import Tensor

from ..utils import unwrapped_model


def gather_rank_states(runner: Runner) -> list[dict] | None:
    """Gathers the states of all ranks; every rank has to call it.

    Returns:
        On rank 0 a dict for each rank, in order; elsewhere None. ``buffers``: those that differ
        from rank 0's (batch statistics without SyncBN); ``gradients``: those of an accumulation
        that has begun; ``hooks``: what other hooks' ``rank_state(runner)`` returns.
    """
    state = dict(buffers=_own_buffers(runner), gradients=_pending_gradients(runner), hooks={
        type(hook).__name__: hook.rank_state(runner) for hook in runner.hooks
        if hasattr(hook, 'rank_state')})
    return gather_object(state, dst=0)


def restore_rank_state(runner: Runner, states: list[dict]) -> None:
    """Gives this rank its state back, before training goes on.

    With another number of ranks than before, buffers stay those of rank 0, every rank gets the
    mean of the gradients, and hooks get the states of all ranks, dealt out in turn.
    """
    rank, world = get_rank(), get_world_size()
    if len(states) == world:
        buffers = _named_buffers(runner)
        for name, value in states[rank]['buffers'].items():
            buffers[name].copy_(value)
        gradients = states[rank]['gradients']
    else:
        names = {name for state in states for name in state['gradients']}
        gradients = {name: sum(state['gradients'].get(name, 0) for state in states) / len(states)
                     for name in names}
    parameters = dict(unwrapped_model(runner).named_parameters())
    for name, value in gradients.items():
        parameters[name].grad = value.to(parameters[name].device)
    for state in states[rank::world]:
        for hook in runner.hooks:
            if hasattr(hook, 'load_rank_state') and type(hook).__name__ in state['hooks']:
                hook.load_rank_state(runner, state['hooks'][type(hook).__name__])


def _named_buffers(runner: Runner) -> dict[str, Tensor]:
    buffers = dict(unwrapped_model(runner).named_buffers())
    for hook in runner.hooks:
        if isinstance(hook, EMAHook):
            buffers.update((f'EMAHook.{name}', buffer)
                           for name, buffer in hook.ema_model.named_buffers())
    return buffers


def _own_buffers(runner: Runner) -> dict[str, Tensor]:
    """Buffers whose bytes differ from rank 0's; only digests travel to find them."""
    if get_world_size() == 1:
        return {}
    buffers = {name: buffer.detach().cpu() for name, buffer in _named_buffers(runner).items()}
    digests = {name: hashlib.sha256(
        buffer.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()).digest()
        for name, buffer in buffers.items()}
    first = [digests]
    broadcast_object_list(first, src=0)
    return {name: buffer for name, buffer in buffers.items() if digests[name] != first[0][name]}


def _pending_gradients(runner: Runner) -> dict[str, Tensor]:
    wrapper = runner.optim_wrapper
    wrappers = wrapper.optim_wrappers.values() if isinstance(wrapper, OptimWrapperDict) \
        else [wrapper]
    if all(w.should_update() for w in wrappers if isinstance(w, OptimWrapper)):
        return {}
    return {name: parameter.grad.detach().cpu()
            for name, parameter in unwrapped_model(runner).named_parameters()
            if parameter.grad is not None}
