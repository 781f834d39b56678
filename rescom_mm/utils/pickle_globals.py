"""What a checkpoint's pickle may name beside torch's own list, and what answers to these names.

NumPy's arrays and types, mmengine's log histories and ``getattr`` can be made to forge pointers or
to call anything. So a pickle never holds these themselves while it is read, but stand-ins, which do
nothing and check what they are given; :func:`real` puts the values in their places at the end.
"""

from __future__ import annotations

import math
import pickle
import re
from collections.abc import Iterable
from typing import Any, TypeVar

import numpy as np
import torch
from mmengine.config import ConfigDict
from mmengine.logging import HistoryBuffer
from mmengine.optim.scheduler.param_scheduler import OneCycleParamScheduler

_T = TypeVar('_T')


def _named(name: str, what: _T) -> _T:
    """Lets a function or class answer to the name that pickles use."""
    module, last = name.rsplit('.', 1)
    for attribute, text in (('__module__', module), ('__name__', last), ('__qualname__', last)):
        setattr(what, attribute, text)
    return what


def _refuse(what: str) -> Any:
    raise pickle.UnpicklingError(f'GLOBAL {what}')


def _damaged(why: str) -> Any:
    raise pickle.UnpicklingError(why)


class _StandIn:
    """In the place of :attr:`value` while the pickle is read.

    It has no hash, so that it gets into no place (set, key) where :func:`real` can't replace it.
    """

    __hash__ = None  # type: ignore[assignment]
    value: Any = None


class _DType(_StandIn):
    """Of numbers and texts: no objects, which are pointers, no fields, nothing to change later."""

    def __init__(self, code: Any, *_: Any) -> None:
        if not isinstance(code, str) or not re.fullmatch(r'[biufcUS]\d{1,9}', code):
            _refuse(f'numpy.dtype({code if isinstance(code, str) else type(code).__name__})')
        try:
            self.value = np.dtype(code)
        except (TypeError, ValueError) as error:
            _damaged(f'NumPy has no {code}: {error}')

    def __setstate__(self, state: Any) -> None:
        value = self.value
        if (not isinstance(value, np.dtype) or not isinstance(state, tuple) or len(state) != 8
                or state[1] not in ('<', '>', '=', '|') or any(s is not None for s in state[2:5])
                or state[5] not in (-1, value.itemsize)):
            _refuse('numpy.dtype.__setstate__')
        self.value = value.newbyteorder(state[1])


class _Array(_StandIn):
    """Is made once, from as many bytes as it needs."""

    def __init__(self, *_: Any) -> None:
        _refuse('numpy.ndarray(...)')

    def __setstate__(self, state: Any) -> None:
        if self.value is not None or not isinstance(state, tuple) or len(state) != 5:
            _refuse('numpy.ndarray.__setstate__')
        _, shape, kind, fortran, data = state
        if not (type(shape) is tuple and all(type(size) is int and size >= 0 for size in shape)):
            _damaged('an array without a shape')
        kind = _itself(kind, _DType)
        if type(data) is not bytes or len(data) != math.prod(shape) * kind.itemsize:
            _damaged(f'an array of {shape} and {kind} with other data')
        try:
            self.value = np.ndarray(shape, kind, data, order='F' if fortran else 'C').copy('K')
        except (TypeError, ValueError) as error:  # too many or too large dimensions
            _damaged(str(error))


class _History(_StandIn):
    """``HistoryBuffer``, whose own way to take a state changes the class for all others."""

    def __init__(self, *_: Any) -> None:
        _refuse('HistoryBuffer(...)')

    def __setstate__(self, state: Any) -> None:
        if (self.value is not None or type(state) is not dict
                or type(state.get('max_length')) is not int):
            _damaged('a HistoryBuffer of another form')
        history = HistoryBuffer(max_length=state['max_length'])
        # not np.asarray: it asks whatever it is given for a pointer, ``__array_interface__``
        history._log_history = _itself(state.get('_log_history'), _Array)
        history._count_history = _itself(state.get('_count_history'), _Array)
        self.value = history


class _Method(_StandIn):
    """A function that can't be called while the pickle is read."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __call__(self, *_: Any) -> Any:
        _refuse(f'{self.value.__qualname__}(...)')


for _class, _path in ((_DType, 'numpy.dtype'), (_Array, 'numpy.ndarray'),
                      (_History, f'{HistoryBuffer.__module__}.{HistoryBuffer.__qualname__}')):
    _named(_path, _class)


def _one_cycle(*_: Any) -> Any:
    _refuse('OneCycleParamScheduler(...)')


_METHODS = {('HistoryBuffer', name): getattr(HistoryBuffer, name)
            for name in ('min', 'max', 'mean', 'current')}
_METHODS.update({('OneCycleParamScheduler', name): getattr(OneCycleParamScheduler, name)
                 for name in ('_annealing_cos', '_annealing_linear')})


def _method(owner: Any, name: Any) -> _Method:
    """``getattr``, by which pickles refer to methods, for those of mmengine's own checkpoints."""
    owner_name = getattr(owner if callable(owner) else type(owner), '__name__', '')
    name = name if type(name) is str else type(name).__name__
    known = owner is _History or owner is _one_cycle
    found = _METHODS.get((owner_name, name)) if known else None
    return _Method(found) if found else _refuse(f'getattr({owner_name},{name})')


def _encode(text: Any, encoding: Any) -> bytes:
    """``_codecs.encode``, by which pickles of protocol 2 write bytes."""
    if type(text) is not str or encoding != 'latin1':
        _refuse('_codecs.encode')
    return text.encode('latin1')


def _itself(stand_in: Any, kind: type[_StandIn]) -> Any:
    if type(stand_in) is not kind or stand_in.value is None:
        _damaged(f'no {kind.__name__} where one should be')
    return stand_in.value


def _reconstruct(kind: Any, *_: Any) -> _Array:
    """``numpy.core.multiarray._reconstruct``: an array that gets its state later."""
    return _Array.__new__(_Array) if kind is _Array else _refuse('_reconstruct of another class')


def _scalar(kind: Any, data: Any) -> Any:
    """``numpy.core.multiarray.scalar``."""
    kind = _itself(kind, _DType)
    if type(data) is not bytes or len(data) != kind.itemsize:
        _damaged(f'a number of {kind} with other data')
    return np.ndarray((), kind, data)[()]


def allowed_globals() -> list[Any]:
    """What a checkpoint may name beside torch's own list.

    Log histories and the curve functions of a schedule, configs as data, and NumPy's arrays,
    scalars and number types, under the names of NumPy 1 and 2. All but configs are stand-ins.
    """
    functions = [_named(f'numpy.{core}.multiarray.{name}', lambda *args, f=function: f(*args))
                 for core in ('core', '_core')
                 for name, function in (('_reconstruct', _reconstruct), ('scalar', _scalar))]
    return [_History, _DType, _Array, ConfigDict, *functions,
            _named(f'{OneCycleParamScheduler.__module__}.OneCycleParamScheduler', _one_cycle),
            _named('builtins.getattr', _method), _named('_codecs.encode', _encode),
            _named('builtins.bytes', lambda: b'')]


def real(value: Any, seen: dict[int, tuple[Any, Any]] | None = None) -> Any:
    """The loaded object with the values of stand-ins in their places (in place, but for tuples).

    Raises:
        pickle.UnpicklingError: for stand-ins without value, and for special attributes of
            containers and tensors, by which they could pass for arrays at any address.
    """
    seen = {} if seen is None else seen
    if isinstance(value, _StandIn):
        return _itself(value, type(value))
    if id(value) in seen:
        return seen[id(value)][1]
    if type(value) is tuple:
        parts = tuple(real(part, seen) for part in value)
        changed = any(old is not new for old, new in zip(value, parts))
        seen[id(value)] = value, parts if changed else value
    elif isinstance(value, (dict, list, set, torch.Tensor)):
        seen[id(value)] = value, value
        _replace_inside(value, seen)
    else:
        return value
    return seen[id(value)][1]


def _replace_inside(value: Any, seen: dict[int, tuple[Any, Any]]) -> None:
    attributes = getattr(value, '__dict__', {})
    _no_special(attributes)
    if attributes:
        real(attributes, seen)
    if isinstance(value, ConfigDict):  # its keys are attributes
        _no_special(dict.keys(value))
    if isinstance(value, dict):
        for key, old in [*dict.items(value)]:
            real(key, seen)
            dict.__setitem__(value, key, real(old, seen))
    elif isinstance(value, list):
        value[:] = [real(old, seen) for old in value]
    elif isinstance(value, set):
        for member in value:
            real(member, seen)


def _no_special(names: Iterable[Any]) -> None:
    for name in names:
        if isinstance(name, str) and name.startswith('__') and name.endswith('__'):
            _refuse(name)
