"""docs/backbones.md: the table says what the proofs showed, as docs/backbones.json keeps it.

``python -m tests.models.backbones_page`` proves every entry of tests/models/backbones.py on the
installed stack (some minutes), and writes both. Run it on each of the two stacks, with timm.
"""

import argparse
import importlib.metadata
import json
import tempfile
from pathlib import Path

import torch
from mmengine.logging import MMLogger

from rescom_mm.apis.compare import update_section
from tests.models.backbone_proof import missing_package, prove
from tests.models.backbones import FAMILIES

ROOT = Path(__file__).resolve().parents[2]
PAGE, RECORDS = ROOT / 'docs' / 'backbones.md', ROOT / 'docs' / 'backbones.json'
STACKS = {'onedl': 'onedl-mmpretrain', 'openmmlab': 'mmpretrain'}
PROOFS = ('step', 'evaluate', 'strip', 'layer_decay', 'freezes')


def installed_stack():
    """Name of the stack, and the version of its mmpretrain."""
    for name, package in STACKS.items():
        try:
            return name, importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    raise SystemExit('no mmpretrain is installed')


def plain(record):
    """As it comes back from a JSON file."""
    return json.loads(json.dumps(record))


def read():
    return json.loads(RECORDS.read_text(encoding='utf-8')) if RECORDS.exists() else {}


def write(records):
    """A line a family."""
    stacks = []
    for stack, entry in sorted(records.items()):
        lines = ',\n'.join(f'  {json.dumps(name)}: {json.dumps(record)}'
                           for name, record in entry['families'].items())
        version = json.dumps(entry['mmpretrain'])
        stacks.append(f' "{stack}": {{"mmpretrain": {version}, "families": {{\n{lines}}}}}')
    RECORDS.write_text('{\n' + ',\n'.join(stacks) + '\n}\n', encoding='utf-8')


def neck_text(neck):
    if neck is None:
        return '`None`'
    if isinstance(neck, (list, tuple)):
        return ' + '.join(map(neck_text, neck))
    options = ''.join(f', {key}={value!r}' for key, value in neck.items() if key != 'type')
    return f'`{neck["type"]}{options}`'


def row(name, records):
    """A family's line; ``yes`` where the proof held on every stack."""
    family = FAMILIES[name]
    results = [entry['families'][name] for entry in records.values()]
    needs = ', '.join(f'`{key}={value!r}`' for key, value in family.needs.items())
    if not all(result['works'] for result in results):
        return f'| {name} | {needs} | | no | no | no | | | {family.reason} |'
    proofs = ' | '.join('yes' if all(result[proof] for result in results) else 'no'
                        for proof in PROOFS)
    unused = max(result['unused'] for result in results)
    remarks = [f'needs `pip install {family.package}`'] if family.package else []
    remarks += [family.remark] if family.remark else []
    remarks += ['several GPUs: `find_unused_parameters=True`'] if unused else []
    return f'| {name} | {needs} | {neck_text(family.neck)} | {proofs} | {"; ".join(remarks)} |'


def text(records):
    versions = ' and '.join(f'{STACKS[stack]} {entry["mmpretrain"]}'
                            for stack, entry in sorted(records.items()))
    lines = [f'Proved with {versions}.', '',
             '| backbone | write beside `type`, for instance | `neck` | step | evaluate '
             '| strip and load | layer decay | freezing | remark |', '| --- ' * 9 + '|']
    return '\n'.join([*lines, *(row(name, records) for name in FAMILIES)])


def main():
    argparse.ArgumentParser(prog='python -m tests.models.backbones_page',
                            description=__doc__).parse_args()
    MMLogger.get_current_instance().setLevel('WARNING')
    torch.set_num_threads(1)
    stack, version = installed_stack()
    families = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in FAMILIES:
            if missing_package(name):
                raise SystemExit(f'{name}: pip install {missing_package(name)} first')
            families[name] = prove(name, Path(folder) / 'model.pth')
            print(name, flush=True)
    records = {**read(), stack: dict(mmpretrain=version, families=families)}
    write(records)
    update_section(PAGE, 'families', f'\n{text(records)}\n')


if __name__ == '__main__':
    main()
