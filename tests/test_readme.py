"""The README's links, configs and figures exist and are those of the repository."""

import json
import re

from mmengine.config import Config

from rescom_mm.apis.compare import markdown_table
from tests.runs import ROOT

README = (ROOT / 'README.md').read_text(encoding='utf-8')


def test_links_and_configs_exist():
    links = [link for link in re.findall(r'\]\(([^)]+)\)', README) if '://' not in link]
    assert len(links) >= 3
    for path in {*links, *re.findall(r'configs/[\w/.-]+\.py', README),
                 *re.findall(r'tools/\w+\.(?:py|sh)', README)}:
        assert (ROOT / path).exists() or path == 'configs/rescom/birds.py', path


def test_table_is_the_results_files():
    summary = json.loads((ROOT / 'docs' / 'results' / 'digits-lt.json').read_text())
    assert markdown_table(summary) in README


def test_explained_config_is_the_real_one():
    shown = next(block for block in re.findall(r'```python\n(.*?)```', README, re.S)
                 if "type='SiameseClassifier'" in block)
    explained: dict = {}
    exec(shown, explained)
    real = Config.fromfile(ROOT / 'configs' / 'rescom' / 'rescom_r50_imagenet-lt.py').model
    for part, options in explained['model'].items():
        if part == 'head':
            assert real.head.loss == options['loss']
        else:
            assert real[part] == options, part
