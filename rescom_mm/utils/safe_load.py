"""Checkpoints are data: nothing in them is executed.

A pickle may call anything, and mmengine loads checkpoints with pickle in several ways; beside that
it runs the config text which its checkpoints carry. Importing this package changes mmengine's
``CheckpointLoader``, through which all tools load, so that neither happens: pickles may build
tensors, plain containers and what :func:`allowed_globals` lists, and config texts are moved out of
reach. ``RESCOM_MM_TRUST_CHECKPOINTS=1`` in the environment switches both off.
"""

from __future__ import annotations

import functools
import importlib
import os
import pickle
import re
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from mmengine.config import ConfigDict
from mmengine.infer import BaseInferencer
from mmengine.logging import HistoryBuffer
from mmengine.optim.scheduler.param_scheduler import OneCycleParamScheduler
from mmengine.runner import CheckpointLoader

TRUST = 'RESCOM_MM_TRUST_CHECKPOINTS'
_torch_load = torch.load


class UnsafeCheckpointError(RuntimeError):
    """A file that wants more than a checkpoint needs; it was not loaded.

    Attributes:
        damaged: whether it is no checkpoint of weights at all, or a damaged one.
    """

    def __init__(self, message: str, damaged: bool = False) -> None:
        super().__init__(message)
        self.damaged = damaged


class _History(HistoryBuffer):
    """Stands in for ``HistoryBuffer``, whose own way to take a state changes the class."""

    def __setstate__(self, state: dict) -> None:
        self.__class__ = HistoryBuffer  # type: ignore[assignment]
        self.max_length = int(state['max_length'])
        self._log_history = np.asarray(state['_log_history'])
        self._count_history = np.asarray(state['_count_history'])
        self._set_default_statistics()  # a process that only loads has none yet


for _attribute in ('__module__', '__name__', '__qualname__'):
    setattr(_History, _attribute, getattr(HistoryBuffer, _attribute))


def _named(name: str, function: Callable) -> Callable:
    """A function that stands in for the global that pickles know as ``name``."""
    def stand_in(*args: Any) -> Any:
        return function(*args)

    stand_in.__module__, stand_in.__name__ = name.rsplit('.', 1)
    stand_in.__qualname__ = stand_in.__name__
    return stand_in


def _refuse(what: str) -> Any:
    raise pickle.UnpicklingError(f'GLOBAL {what}')


_one_cycle = _named('mmengine.optim.scheduler.param_scheduler.OneCycleParamScheduler',
                    lambda *_: _refuse('OneCycleParamScheduler(...)'))
_METHODS: dict[tuple[Any, str], Callable] = {
    (_History, name): getattr(HistoryBuffer, name) for name in ('min', 'max', 'mean', 'current')}
_METHODS.update({(_one_cycle, name): getattr(OneCycleParamScheduler, name)
                 for name in ('_annealing_cos', '_annealing_linear')})


def _method(owner: Any, name: str) -> Any:
    """``getattr``, by which pickles refer to methods, for those of mmengine's own checkpoints."""
    found = _METHODS.get((owner, name)) if callable(owner) and isinstance(name, str) else None
    return found or _refuse(f'getattr({getattr(owner, "__name__", type(owner).__name__)},{name})')


def _encode(text: str, encoding: str) -> bytes:
    """``_codecs.encode``, by which pickles of protocol 2 write bytes."""
    return text.encode('latin1') if encoding == 'latin1' else _refuse('_codecs.encode')


def allowed_globals() -> list[Any]:
    """What a checkpoint may name beside torch's own list.

    Log histories and the curve functions of a schedule, configs as data, and NumPy's arrays,
    scalars and number types, under the names of NumPy 1 and 2. ``getattr`` is not in it, only
    what answers to its name for a handful of methods.
    """
    multiarray = importlib.import_module(
        'numpy._core.multiarray' if hasattr(np, '_core') else 'numpy.core.multiarray')
    numpy_functions = [_named(f'numpy.{core}.multiarray.{name}', getattr(multiarray, name))
                       for core in ('core', '_core') for name in ('_reconstruct', 'scalar')]
    kinds = {type(np.dtype(kind)) for kind in (*np.typecodes['AllInteger'], *'efd?U')}
    return [_History, ConfigDict, _one_cycle, _named('builtins.getattr', _method),
            _named('_codecs.encode', _encode), _named('builtins.bytes', lambda: b''),
            np.ndarray, np.dtype, *kinds, *numpy_functions]


def _name(entry: Any) -> str:
    return entry[1] if isinstance(entry, tuple) else f'{entry.__module__}.{entry.__qualname__}'


@contextmanager
def _only_allowed() -> Iterator[None]:
    """torch's list of allowed globals, with ours in place of what others registered by the name."""
    registered, ours = list(torch.serialization.get_safe_globals()), allowed_globals()
    names = {_name(entry) for entry in ours}
    others = [entry for entry in registered if _name(entry) not in names]
    torch.serialization.clear_safe_globals()
    torch.serialization.add_safe_globals(others + ours)
    try:
        yield
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(registered)


def trusted() -> bool:
    """Whether checkpoints are trusted like programs, by the environment variable."""
    return os.environ.get(TRUST, '') == '1'


def safe_load(file: Any, map_location: Any = None, name: str | None = None,
              **options: Any) -> Any:
    """``torch.load`` that builds data alone, whatever the environment says.

    Args:
        file: path, or file object in binary mode.
        map_location: as in ``torch.load``.
        name: of the file, for errors; a path names itself.
        options: others of ``torch.load``.

    Raises:
        UnsafeCheckpointError: in one line, for a file that wants more.
    """
    name = name or str(file)
    if _is_tar(file):  # torch before 2.6 reads this old format unsafely
        raise UnsafeCheckpointError(_refusal(name, "it has torch's first format, tar"))
    options['weights_only'] = True
    try:
        with _only_allowed():
            return _torch_load(file, map_location, **options)
    except pickle.UnpicklingError as error:
        wanted = re.search(r'GLOBAL (\S+)', str(error))
        reason = re.search(r'WeightsUnpickler error:\s*(.+)', str(error))
        raise UnsafeCheckpointError(_refusal(
            name, f'it asks for {wanted[1]}, which is more than a checkpoint needs and could run '
            'anything' if wanted else 'it is damaged, or no checkpoint of weights '
            f'({reason[1] if reason else str(error).splitlines()[0]})'),
            damaged=wanted is None) from None


def _is_tar(file: Any) -> bool:
    if not hasattr(file, 'seek'):
        return tarfile.is_tarfile(file)
    start = file.tell()
    try:
        return tarfile.is_tarfile(file)
    finally:
        file.seek(start)


def _refusal(name: str, why: str) -> str:
    return (f'{name} was not loaded: {why}. If you trust its author as you trust a program (for '
            f'instance because it is your own, with other objects in it), set {TRUST}=1; a file '
            'that holds its state_dict alone needs no trust')


def _set_programs_aside(checkpoint: Any) -> None:
    """Moves config texts to where nothing takes them for a program."""
    if not isinstance(checkpoint, dict):
        return
    meta = checkpoint.get('meta')
    for key in ('cfg', 'config'):
        if isinstance(meta, dict) and key in meta:
            meta[f'{key}_text'] = meta.pop(key)
    hub = checkpoint.get('message_hub')
    if isinstance(hub, dict) and isinstance(hub.get('runtime_info'), dict):
        hub['runtime_info'].pop('cfg', None)  # the same text; the run has its own


@contextmanager
def _replaced_torch_load(load: Callable) -> Iterator[None]:
    before, torch.load = torch.load, load
    try:
        yield
    finally:
        torch.load = before


def protect() -> None:
    """Makes mmengine's ``CheckpointLoader`` (every scheme of it) and its inferencers safe."""
    if hasattr(CheckpointLoader.load_checkpoint, '__wrapped__'):
        return
    load_checkpoint = CheckpointLoader.load_checkpoint.__func__
    init_model = BaseInferencer._init_model

    @functools.wraps(load_checkpoint)
    def load_safely(cls: Any, filename: str, *args: Any, **kwargs: Any) -> Any:
        def load(file: Any, map_location: Any = None, *_: Any, **options: Any) -> Any:
            if trusted():
                return _torch_load(file, map_location, **{**options, 'weights_only': False})
            return safe_load(file, map_location, str(filename), **options)

        with _replaced_torch_load(load):
            checkpoint = load_checkpoint(cls, filename, *args, **kwargs)
        if not trusted():
            _set_programs_aside(checkpoint)
        return checkpoint

    @functools.wraps(init_model)
    def init_model_from_config(self: Any, cfg: Any, weights: Any, *args: Any, **kwargs: Any) -> Any:
        if not cfg and not trusted():
            raise ValueError(
                f'{type(self).__name__} got no model, and the config text that {weights} may carry '
                'is a program, which is not executed: give model=CONFIG_FILE, or, if you trust the '
                f'author of the checkpoint as you trust a program, set {TRUST}=1')
        return init_model(self, cfg, weights, *args, **kwargs)

    CheckpointLoader.load_checkpoint = classmethod(load_safely)
    BaseInferencer._init_model = init_model_from_config
