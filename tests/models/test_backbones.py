"""Every backbone of mmpretrain trains, is evaluated, stripped and loaded, or says why not."""

import pytest

from tests.models.backbone_proof import build, missing_package, parts, prove, registered
from tests.models.backbones import FAMILIES
from tests.models.backbones_page import PAGE, STACKS, installed_stack, plain, read, text

# one of each kind of entry; the slow set has them all
FAST = ('ConvNeXt', 'Conformer', 'DeiT3', 'LeViT', 'MobileNetV3', 'SwinTransformer', 'TIMMBackbone')


@pytest.mark.parametrize('name', [
    pytest.param(name, marks=[] if name in FAST else [pytest.mark.slow]) for name in FAMILIES])
def test_works_or_says_why(name, tmp_path):
    if package := missing_package(name):
        with pytest.raises(ImportError, match=f'pip install "{package}"'):
            build(name)
        return
    record = read()[installed_stack()[0]]['families'][name]
    assert plain(prove(name, tmp_path / 'model.pth')) == record, (
        'run python -m tests.models.backbones_page')


def test_every_registered_backbone_has_an_entry():
    assert registered().keys() == FAMILIES.keys(), (
        'tests/models/backbones.py needs an entry for each; then run '
        'python -m tests.models.backbones_page')


def test_page_says_what_was_proved():
    """Of these entries, on both stacks."""
    records = read()
    assert records.keys() == STACKS.keys()
    for entry in records.values():
        assert entry['families'].keys() == FAMILIES.keys()
        for name, record in entry['families'].items():
            family = FAMILIES[name]
            assert record['size'] == family.size and record['works'] == (family.error is None)
            assert record['parts'] == plain(parts(name)), name
    page = PAGE.read_text(encoding='utf-8')
    assert f'<!-- families -->\n\n{text(records)}\n\n<!-- /families -->' in page
