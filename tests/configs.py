"""The repository's configs, each read once; what they are made of, key by key."""

import copy
import functools

from tests.runs import ROOT, read_config

#: name -> file of every config that is no part of others
FILES = {path.stem: path for path in sorted((ROOT / 'configs').glob('[!_]*/*.py'))}


@functools.cache
def _read(name):
    return read_config(FILES[name])


def read(name):
    """A config of its own, to be changed."""
    return copy.deepcopy(_read(name))


@functools.cache
def flat(name):
    """Dotted key -> value of the resolved config; list items have their index as key."""
    found = {}

    def visit(node, path):
        if isinstance(node, (list, tuple)):
            node = dict(enumerate(node))
        if not isinstance(node, dict):
            found['.'.join(path)] = node
            return
        for key, child in node.items():
            visit(child, (*path, str(key)))

    visit(_read(name).to_dict(), ())
    return found


def difference(name, other):
    """The keys in which two resolved configs differ, with the first one's values."""
    one, two = flat(name), flat(other)
    return {key: one.get(key) for key in one.keys() | two.keys()
            if key not in one or key not in two or one[key] != two[key]}


def kind(name):
    """Equal for configs that differ in numbers only, the depth of networks aside."""
    return frozenset(
        (key, 'a number' if type(value) in (int, float) and not key.endswith('depth')
         else repr(value)) for key, value in flat(name).items())
