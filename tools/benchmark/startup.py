"""Time until a training can begin: imports, and iNaturalist 2018's list of 437,513 images.

Imports are measured in processes of their own: mmpretrain's models, datasets, engine and
evaluation, then this package. The list is a stand-in of the published length.
"""

import rescom_mm  # noqa: F401  first: it readies the OpenMMLab stack  # isort: skip

import logging
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from measure import ROOT, parser, save, shown, start, summary
from mmengine.logging import MMLogger

from rescom_mm.datasets import INaturalist18

# one cure first, as torchvision may not import without it
_CODE = f"""
import importlib.util, sys, time
spec = importlib.util.spec_from_file_location('compat', {str(ROOT / 'rescom_mm' / 'compat.py')!r})
sys.modules['compat'] = compat = importlib.util.module_from_spec(spec)
spec.loader.exec_module(compat)
compat._cure_torchvision_nms()
begin = time.perf_counter()
import mmpretrain.models, mmpretrain.datasets, mmpretrain.engine, mmpretrain.evaluation
between = time.perf_counter()
import rescom_mm
print(between - begin, time.perf_counter() - between)
"""


def import_seconds() -> tuple[float, float]:
    """Of mmpretrain and, after it, of this package, in a process of its own."""
    done = subprocess.run([sys.executable, '-W', 'ignore', '-c', _CODE], cwd=ROOT, check=True,
                          capture_output=True, text=True)
    mmpretrain, ours = map(float, done.stdout.split()[-2:])
    return mmpretrain, ours


def list_seconds(folder: str) -> float:
    """Of reading the list into a dataset."""
    begin = time.perf_counter()
    INaturalist18(folder)
    return time.perf_counter() - begin


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
    start(args)
    MMLogger.get_instance('startup').setLevel(logging.ERROR)  # it is not the published list
    with tempfile.TemporaryDirectory() as folder:
        write_list(Path(folder))
        lists = [list_seconds(folder) for _ in range(args.rounds)]
    import_seconds()  # files that were never read
    imports = [import_seconds() for _ in range(args.rounds)]
    figures = {'import mmpretrain': [first for first, _ in imports],
               'import rescom_mm after it': [second for _, second in imports],
               'list of 437,513 images': lists}
    for name, values in figures.items():
        print(f'{name}: {shown(summary(values))} s')
    save(args, [dict(what=name, seconds=summary(values)) for name, values in figures.items()])


if __name__ == '__main__':
    main()
