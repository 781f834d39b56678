"""Checkpoints are data: nothing in them is executed.

A pickle may call anything, and mmengine loads checkpoints with pickle in several ways; beside that
it runs the config text which its checkpoints carry. Importing this package changes mmengine's
``CheckpointLoader``, through which all tools load, so that neither happens: pickles may build
tensors, plain containers and what :func:`~.pickle_globals.allowed_globals` lists, and config texts
are moved out of reach. ``RESCOM_MM_TRUST_CHECKPOINTS=1`` in the environment switches both off.

What passes through ``CheckpointLoader`` and mmengine's inferencers is covered, no more. Files that
other code gives to ``torch.load`` itself (in mmpretrain: ``prototype_cache`` and ``prototype`` of
retrieval, ``codebook_init_path``, the queue of ``SwAVHook``, the converters of checkpoints) are
read as torch does: from 2.6 on as weights alone, before as programs. And it is torch that reads
tensors: it mended faults in that in 2.10 (files that make it read and write beside its memory).
"""

from __future__ import annotations

import functools
import os
import pickle
import re
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.infer import BaseInferencer
from mmengine.runner import CheckpointLoader

from .pickle_globals import allowed_globals, real

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


def _name(entry: Any) -> str:
    return entry[1] if isinstance(entry, tuple) else f'{entry.__module__}.{entry.__qualname__}'


@contextmanager
def _only_allowed() -> Iterator[None]:
    """torch's list of allowed globals, with ours in place of what others registered by the name."""
    registered, ours = list(torch.serialization.get_safe_globals()), allowed_globals()
    names = {_name(entry) for entry in ours}
    others = [entry for entry in registered if _name(entry) not in names
              and not _name(entry).startswith(('numpy.', 'mmengine.'))]
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
    unsafe = _unsafe_format(file)
    if unsafe:
        raise UnsafeCheckpointError(_refusal(name, unsafe))
    options['weights_only'] = True
    try:
        with _only_allowed():
            return real(_torch_load(file, map_location, **options))
    except (pickle.UnpicklingError, RecursionError) as error:
        wanted = re.search(r'GLOBAL (\S+)', str(error))
        if wanted:
            raise UnsafeCheckpointError(_refusal(
                name, f'it asks for {wanted[1]}, which is more than a checkpoint needs and could '
                'run anything')) from None
        reason = re.search(r'WeightsUnpickler error:\s*(.+)', str(error))
        raise UnsafeCheckpointError(
            f'{name} was not loaded: it is damaged, or no checkpoint that torch.save has written '
            f'({reason[1] if reason else str(error).splitlines()[0]})', damaged=True) from None


def _unsafe_format(file: Any) -> str | None:
    """Formats that torch before 2.6 reads unsafely, whatever it is asked for."""
    if not hasattr(file, 'seek'):
        with open(file, 'rb') as opened:
            return _unsafe_format(opened)
    start = file.tell()
    try:
        if start == 0 and tarfile.is_tarfile(file):  # torch looks for it there only
            return "it has torch's first format, tar"
        file.seek(start)
        if file.read(4) != b'PK\x03\x04':
            return None
        file.seek(start)
        # torch's own reader: another one may be shown other contents by the same file
        parts = torch._C.PyTorchFileReader(file).get_all_records()
    finally:
        file.seek(start)
    script = any(part == 'constants.pkl' or part.startswith('code/') for part in parts)
    return 'it is a TorchScript program' if script else None


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
