"""Time until a training can begin: imports, and iNaturalist 2018's list of 437,513 images.

Imports are measured in processes of their own, one with mmpretrain's models, datasets, engine and
evaluation alone, one with this package too. The list is a stand-in of the published length.
"""

import rescom_mm  # noqa: F401  first: it readies the OpenMMLab stack  # isort: skip

import logging
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measure import ROOT, alternate, parser, save, shown, start, summary
from mmengine.logging import MMLogger

from rescom_mm.datasets import INaturalist18

COMPAT = ROOT / 'rescom_mm' / 'compat.py'
# alone, as the stack may not import without it
_READY = f'import runpy; runpy.run_path({str(COMPAT)!r})["apply"]()'
_MMPRETRAIN = 'import mmpretrain.models, mmpretrain.datasets, mmpretrain.engine, ' \
    'mmpretrain.evaluation'
IMPORTS = {'mmpretrain': f'{_READY}; {_MMPRETRAIN}',
           'with rescom_mm': f'{_READY}; {_MMPRETRAIN}; import rescom_mm'}


def run(code: str) -> None:
    """Runs a line of Python in a process of its own."""
    subprocess.run([sys.executable, '-W', 'ignore', '-c', code], cwd=ROOT, check=True,
                   capture_output=True)


def write_list(folder: Path, images: int = 437_513, classes: int = 8142) -> None:
    """A list as long and as skewed as the published one; of the images the first one exists."""
    sizes = np.geomspace(1000, 2, classes)
    sizes = np.maximum(sizes * images / sizes.sum(), 2).astype(int)
    sizes[:images - sizes.sum()] += 1
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(classes), sizes)).tolist()
    lines = [f'train_val2018/Plantae/{label}/{number:032x}.jpg {label}'
             for number, label in enumerate(labels)]
    first = folder / lines[0].split()[0]
    first.parent.mkdir(parents=True)
    first.touch()
    (folder / 'iNaturalist18_train.txt').write_text('\n'.join(lines) + '\n')


def main(argv: Sequence[str] | None = None) -> None:
    """Measures both."""
    options = parser(__doc__ or '', 'startup')
    options.set_defaults(device='cpu', threads=1, rounds=7)
    args = options.parse_args(argv)
    device = start(args)
    MMLogger.get_instance('startup').setLevel(logging.ERROR)  # it is not the published list
    with tempfile.TemporaryDirectory() as folder:
        write_list(Path(folder))
        steps: dict[str, Callable[[], Any]] = {
            name: partial(run, code) for name, code in IMPORTS.items()}
        steps['list'] = partial(INaturalist18, folder)
        seconds = alternate(steps, args.rounds, torch.device(device), warm_up=1)
    added = [mine - theirs for mine, theirs in zip(seconds['with rescom_mm'],
                                                   seconds['mmpretrain'])]
    figures = {**{name: summary(values) for name, values in seconds.items()},
               'added by rescom_mm': summary(added)}
    for name, value in figures.items():
        print(f'{name}: {shown(value)} s')
    save(args, [dict(what=name, seconds=value) for name, value in figures.items()])


if __name__ == '__main__':
    main()
