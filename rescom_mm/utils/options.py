"""Clear errors for misspelt options of our components, and for values of the wrong kind."""

from __future__ import annotations

import collections.abc
import difflib
import functools
import inspect
import math
import numbers
import operator
import os
import types
import typing
from typing import Any, TypeVar, Union

import numpy as np
from torch import nn

T = TypeVar('T', bound=type)

_WORDS = {int: 'an integer', float: 'a number', bool: 'True or False', str: 'a string',
          dict: 'a dict', type(None): 'None', collections.abc.Callable: 'a callable'}


def init_parameters(cls: type) -> dict[str, inspect.Parameter]:
    """Keyword parameters of ``cls.__init__``, following ``**kwargs`` up the bases."""
    found: dict[str, inspect.Parameter] = {}
    for base in cls.__mro__:
        if '__init__' not in vars(base):
            continue
        init = inspect.unwrap(base.__init__)  # type: ignore[misc]
        parameters = inspect.signature(init).parameters.values()
        # kinds of our own options alone: others may take more than their annotations say
        package = cls.__module__.partition('.')[0]
        hints = _hints(init) if base.__module__.partition('.')[0] == package else {}
        for p in parameters:
            if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) and p.name != 'self':
                found.setdefault(p.name, p.replace(annotation=hints.get(p.name, Any)))
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break
    return found


def _hints(function: Any) -> dict[str, Any]:
    try:
        return typing.get_type_hints(function)
    except Exception:  # a name that is only there for type checkers, in somebody else's class
        return {}


def check_options(cls: T) -> T:
    """Class decorator: a ``TypeError`` names an option that is unknown, or of the wrong kind.

    For an unknown keyword it suggests the right one. Kinds are those of the annotations of
    ``__init__``: numbers, strings, booleans, dicts and lists of them; NaN is no number.
    """
    original = cls.__init__  # type: ignore[misc]
    accepted = init_parameters(cls)
    names = [name for name, p in accepted.items() if p.kind is p.POSITIONAL_OR_KEYWORD]

    @functools.wraps(original)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        if type(self) is cls:
            for name in kwargs:
                if name not in accepted:
                    raise _unknown(cls, name, kwargs[name], sorted(accepted))
            for name, value in [*zip(names, args), *kwargs.items()]:
                p = accepted[name]
                if value is not p.default and not _fits(value, p.annotation):
                    raise TypeError(f'{cls.__name__}: {name} must be {_words(p.annotation)}, got '
                                    f'{_short(value)}')
        original(self, *args, **kwargs)

    cls.__init__ = __init__  # type: ignore[misc]
    return cls


def _unknown(cls: type, name: str, value: Any, accepted: list[str]) -> TypeError:
    close = difflib.get_close_matches(name, accepted, n=1)
    hint = f' Did you mean `{close[0]}`?' if close else ''
    return TypeError(f'{cls.__name__} has no option `{name}` (given: {_short(value)}).{hint} '
                     f'Its options are: {", ".join(accepted)}.')


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value is of the kind of an annotation; True where that can't be told."""
    if hint is int:
        return _is_integer(value)
    if hint is float:
        return isinstance(value, numbers.Real) and not isinstance(value, bool) \
            and not math.isnan(value)
    if hint is bool:
        return isinstance(value, (bool, np.bool_))
    if hint is str:
        return isinstance(value, (str, os.PathLike))
    if hint is type(None):
        return value is None
    if hint is dict or typing.get_origin(hint) is dict:  # or what was built from one
        return isinstance(value, (collections.abc.Mapping, nn.Module))
    if (typing.get_origin(hint) or hint) is collections.abc.Callable:
        return callable(value)
    if _is_union(hint):
        return any(_fits(value, one) for one in typing.get_args(hint))
    if _is_sequence(hint):
        args = [arg for arg in typing.get_args(hint) if arg is not Ellipsis]
        return (hasattr(value, '__len__') and hasattr(value, '__getitem__')
                and not isinstance(value, (str, bytes, dict))
                and (len(set(args)) != 1 or all(_fits(one, args[0]) for one in value)))
    return True


def _is_integer(value: Any) -> bool:
    try:
        operator.index(value)
    except TypeError:
        return False
    return not isinstance(value, bool)


def _is_union(hint: Any) -> bool:
    return typing.get_origin(hint) in (Union, types.UnionType)


def _is_sequence(hint: Any) -> bool:
    return (typing.get_origin(hint) or hint) in (collections.abc.Sequence, list, tuple)


def _words(hint: Any) -> str:
    if _is_union(hint):
        return ' or '.join(_words(one) for one in typing.get_args(hint))
    if _is_sequence(hint):
        args = set(typing.get_args(hint)) - {Ellipsis}
        return 'a list' if len(args) != 1 or Any in args else f'a list (each {_words(*args)})'
    hint = typing.get_origin(hint) or hint
    return _WORDS.get(hint, getattr(hint, '__name__', str(hint)))


def _short(value: Any, most: int = 100) -> str:
    try:
        text = repr(value)
    except Exception:  # whatever it is, it shall not hide what is wrong
        text = f'a {type(value).__name__}'
    return text if len(text) <= most else text[:most] + '...'
