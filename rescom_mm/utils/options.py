"""A clear error for a misspelt option of one of our components."""

from __future__ import annotations

import difflib
import functools
import inspect
from typing import Any, TypeVar

T = TypeVar('T', bound=type)


def _accepted(cls: type) -> set[str]:
    """Keyword parameters of ``cls.__init__``, following ``**kwargs`` up the bases."""
    names: set[str] = set()
    for base in cls.__mro__:
        if '__init__' not in vars(base):
            continue
        parameters = inspect.signature(base.__init__).parameters.values()  # type: ignore[misc]
        names |= {p.name for p in parameters
                  if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) and p.name != 'self'}
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break
    return names


def check_options(cls: T) -> T:
    """Class decorator: an unknown keyword raises a ``TypeError`` that suggests the right one."""
    original = cls.__init__  # type: ignore[misc]
    accepted = _accepted(cls)

    @functools.wraps(original)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        for name, value in kwargs.items():
            if type(self) is cls and name not in accepted:
                close = difflib.get_close_matches(name, accepted, n=1)
                hint = f' Did you mean `{close[0]}`?' if close else ''
                raise TypeError(f'{cls.__name__} has no option `{name}` (given: {value!r}).{hint} '
                                f'Its options are: {", ".join(sorted(accepted))}.')
        original(self, *args, **kwargs)

    cls.__init__ = __init__  # type: ignore[misc]
    return cls
