"""docs/stock_tools.md and docs/troubleshooting.md are what their tests say."""

import inspect
import re
from importlib import import_module

import pytest

from tests.runs import ROOT
from tests.stock.promises import functions
from tests.stock_tools import table
from tests.stock_tools.table import PAGE, TOOLS, TROUBLES, TROUBLES_PAGE, folder_of


def test_pages_are_generated():
    page, troubles = PAGE.read_text(), TROUBLES_PAGE.read_text()
    assert f'<!-- tools -->\n\n{table.table()}\n\n<!-- /tools -->' in page, table.__doc__
    assert f'<!-- troubles -->\n\n{table.troubles()}\n\n<!-- /troubles -->' in troubles
    assert table.FIND_TOOLS in page and table.WITH_RESCOM in page
    for text in (page, troubles):
        for link in re.findall(r'\]\(([^)#]+)\)', text):
            assert (PAGE.parent / link).is_file(), link


@pytest.mark.parametrize('tool', TOOLS, ids=lambda tool: tool.name)
def test_tests_exist(tool):
    assert tool.tests
    for file, name in map(folder_of, [*tool.tests, *tool.ways_round]):
        assert name in functions(file), (file, name)
    assert all(functions(file)[name] for file, name in map(folder_of, tool.ways_round))


@pytest.mark.parametrize('key', TROUBLES)
def test_troubles_are_shown(key):
    """The test that is named asserts the symptom."""
    file, name = folder_of(TROUBLES[key].test)
    module = import_module(file.removesuffix('.py').replace('/', '.'))
    assert f"'{key}'" in inspect.getsource(getattr(module, name))


def test_every_way_round_is_in_the_pages():
    shown = {test for tool in TOOLS for test in tool.ways_round}
    shown |= {row.test for row in TROUBLES.values()}
    files = ('test_ways_round.py', 'test_mim.py')
    there = {f'{file}::{name}' for file in files for name in functions(f'tests/stock_tools/{file}')
             if name.startswith('test_')}
    assert there - {'test_mim.py::test_openmim'} <= shown
    assert all((ROOT / folder_of(test)[0]).is_file() for test in shown)
