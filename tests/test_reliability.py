"""docs/reliability.md is what its tests say."""

import pytest

from tests.stock import promises
from tests.stock.promises import PAGE, SECTIONS, functions, places, text

ROWS = [promise for rows in SECTIONS.values() for promise in rows]


def test_page_is_generated():
    page = PAGE.read_text(encoding='utf-8')
    assert f'<!-- promises -->\n\n{text()}\n\n<!-- /promises -->' in page, promises.__doc__


@pytest.mark.parametrize('promise', ROWS, ids=lambda promise: promise.text[:30])
def test_tests_exist(promise):
    assert promise.tests
    for path, name in [*places(promise.tests, 'tests'), *places(promise.stock, 'tests/stock')]:
        assert name in functions(path), (path, name)
    assert all(functions(path)[name] for path, name in places(promise.stock, 'tests/stock'))


def test_every_test_of_stock_parts_is_in_the_page():
    shown = {place for promise in ROWS for place in places(promise.stock, 'tests/stock')}
    files = [f'tests/stock/{path.name}' for path in PAGE.parents[1].glob('tests/stock/test_*.py')]
    there = {(path, name) for path in files for name in functions(path)
             if name.startswith('test_')}
    assert there <= shown
