"""What model-index.yml and the metafile.yml of each folder of configs say, taken from the configs.

``python -m tests.metafiles`` writes them. They hold no published figure: Results have metrics where
docs/results/ has a whole measurement of the config.
"""

import functools
import json

import yaml

from tests.configs import FILES, read
from tests.runs import ROOT

INDEX = ROOT / 'model-index.yml'
#: folder of configs -> its collection (mim shows a paper that is a text, not one with a title)
COLLECTIONS = {
    'ablation': dict(Name='ResCom ablation', Paper='https://arxiv.org/abs/2203.11506'),
    'baselines': dict(Name='Long-tailed baselines', Paper='https://arxiv.org/abs/2007.10740'),
    'rescom': dict(Name='ResCom', Paper='https://arxiv.org/abs/2203.11506')}
DATA = {'CIFAR10LT': 'CIFAR-10-LT', 'CIFAR100LT': 'CIFAR-100-LT', 'DigitsLT': 'Digits-LT',
        'INaturalist18': 'iNaturalist 2018', 'ImageNetLT': 'ImageNet-LT', 'OwnImages': 'own images',
        'PlacesLT': 'Places-LT'}


@functools.cache
def measured():
    """Config -> top-1 accuracy in %, mean over the seeds, of whole trainings on the test list."""
    summary = json.loads((ROOT / 'docs' / 'results' / 'digits-lt.json').read_text())
    return {name: round(figures['shot/all']['mean'], 2)
            for name, figures in summary['methods'].items()}


def model(name):
    """The entry of a config."""
    cfg = read(name)
    dataset = cfg.train_dataloader.dataset
    data = {'Training Data': DATA[dataset.type]}
    if 'imbalance_factor' in dataset:
        data['Imbalance Factor'] = dataset.imbalance_factor
    data['Epochs'] = cfg.train_cfg.max_epochs
    data['Batch Size'] = cfg.auto_scale_lr.base_batch_size  # of all processes
    # without a task mmpretrain's inference_model finds no inferencer
    result = dict(Task='Image Classification', Dataset=DATA[dataset.type])
    if name in measured():
        result['Metrics'] = {'Top 1 Accuracy': measured()[name]}
    return {'Name': name, 'In Collection': COLLECTIONS[FILES[name].parent.name]['Name'],
            'Config': str(FILES[name].relative_to(ROOT)), 'Metadata': data, 'Results': [result],
            'Weights': None}


def texts():
    """File -> what it is to hold."""
    found = {INDEX: dict(Import=[f'configs/{folder}/metafile.yml' for folder in COLLECTIONS])}
    for folder, collection in COLLECTIONS.items():
        names = [name for name, file in FILES.items() if file.parent.name == folder]
        found[ROOT / 'configs' / folder / 'metafile.yml'] = dict(
            Collections=[collection], Models=[model(name) for name in sorted(names)])
    head = '# Written by: python -m tests.metafiles\n'
    dumper = type('Plain', (yaml.SafeDumper,), dict(ignore_aliases=lambda self, data: True))
    return {file: head + yaml.dump(content, Dumper=dumper, sort_keys=False, width=100)
            for file, content in found.items()}


if __name__ == '__main__':
    for file, text in texts().items():
        file.write_text(text)
