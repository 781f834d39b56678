"""Checkpoints that run something when they are loaded the wrong way: here, touch a file."""

import copy
import copyreg
import os
from collections import OrderedDict

import numpy as np
import torch
from mmengine.config import ConfigDict
from mmengine.logging import HistoryBuffer

RECONSTRUCT, SCALAR = np.zeros(0).__reduce__()[0], np.float64().__reduce__()[0]


class Calls:
    """Is pickled as a call, whose result is then given a state."""

    def __init__(self, function, *args, state=None):
        self.call = (function, args) if state is None else (function, args, state)

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
    return Calls(getattr, HistoryBuffer, '__init__')


PICKLES = dict(system=system_call, eval=evaluation, getattr=getattr_gadget, method=method_gadget)

# Numbers as the address of an object or of an array, in what pickles may name
_DATA = b'A' * 8


def _array(kind, shape=(1,), data=_DATA):
    return Calls(RECONSTRUCT, np.ndarray, (0,), b'b', state=(1, shape, kind, False, data))


def _dtype(code, *state):
    return Calls(np.dtype, code, False, True, state=(3, '<', *state) if state else None)


class _WithState:
    """A new object of a class that a pickle may name, with a state."""

    def __init__(self, kind, state):
        self.new = kind, state

    def __reduce_ex__(self, protocol):
        kind, state = self.new
        return copyreg.__newobj__, (kind,), state

    @property
    def __class__(self):
        return self.new[0]


def _at(address=8):
    return dict(version=3, shape=(1,), typestr='<f8', data=(address, False))


def _posing():
    """A dict that NumPy takes for an array at an address."""
    return Calls(OrderedDict, state=dict(__array_interface__=_at()))


FORGERIES = {
    'ndarray of objects': lambda: Calls(np.ndarray, (1,), _dtype('O'), _DATA),
    'ndarray': lambda: Calls(np.ndarray, (1,), _dtype('f8'), _DATA),
    'objects': lambda: np.array([None]),
    'longer numbers': lambda: _array(_dtype('f8', None, None, None, 800, 8, 63)),
    'dtype with fields': lambda: _dtype('V8', None, ('a',), dict(a=(_dtype('O'), 0)), 8, 1, 63),
    'dtype turned to fields': lambda: _dtype('f8', None, ('a',), dict(a=(np.dtype('f4'), 0)),
                                             8, 1, 63),
    'dtype of pairs': lambda: _dtype('f8,O'),
    'dtype of lists': lambda: _dtype([('a', 'O')]),
    'longer texts': lambda: _array(_dtype('U2', None, None, None, 4000, 4, 8)),
    'too short': lambda: _array(_dtype('f8'), (9,)),
    'negative': lambda: _array(_dtype('f8'), (-1, -1)),
    'overflow': lambda: _array(_dtype('f8'), (2 ** 61 + 1,)),
    'no dtype': lambda: _array('f8'),
    'no data': lambda: Calls(RECONSTRUCT, np.ndarray, (0,), b'b'),
    'another class': lambda: Calls(RECONSTRUCT, torch.Tensor, (0,), b'b'),
    'short scalar': lambda: Calls(SCALAR, _dtype('f8'), b'A'),
    'object scalar': lambda: Calls(SCALAR, _dtype('O'), _DATA),
    'posing': _posing,
    'posing in a tensor': lambda: Calls(torch._tensor._rebuild_from_type_v2, torch._utils.
                                        _rebuild_parameter, torch.nn.Parameter, (
        torch.ones(1), False, OrderedDict()), dict(__array_interface__=_at())),
    'posing by keys': lambda: ConfigDict(__array_interface__=_at()),
    'posing in a history': lambda: _WithState(HistoryBuffer, dict(
        max_length=9, _log_history=_posing(), _count_history=np.ones(1))),
    'history of another form': lambda: _WithState(HistoryBuffer, dict(max_length=9)),
    'posing in a method': lambda: Calls(
        torch._tensor._rebuild_from_type_v2, HistoryBuffer.mean, torch.Tensor,
        (Calls(OrderedDict, state=dict(_log_history=_posing(), _count_history=_posing())),), {}),
}


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
