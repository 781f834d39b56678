"""model-index.yml and the metafiles describe the configs."""

import pytest
import yaml

from tests.configs import FILES, read
from tests.metafiles import INDEX, measured, texts
from tests.runs import ROOT


def test_files_are_generated():
    for file, text in texts().items():
        assert file.read_text() == text, 'python -m tests.metafiles'


def test_every_config_is_described_once():
    index = yaml.safe_load(INDEX.read_text())
    models = [model for file in index['Import']
              for model in yaml.safe_load((ROOT / file).read_text())['Models']]
    assert sorted(model['Name'] for model in models) == sorted(FILES)
    for model in models:
        assert ROOT / model['Config'] == FILES[model['Name']] and model['Weights'] is None
        result, = model['Results']
        assert ('Metrics' in result) == (model['Name'] in measured())


@pytest.mark.parametrize('name', FILES)
def test_stock_tools_know_its_parts(name):
    imports = read(name).custom_imports
    assert imports.imports == ['rescom_mm'] and not imports.allow_failed_imports
