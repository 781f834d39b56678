"""Stripped models under stock mmpretrain, in a process that rescom_mm is no part of.

``python alone.py JOBS.json``: a list of dicts with ``config``, ``checkpoint``,
``images`` (uint8 ``[N, 3, H, W]`` as ``.npy``, in the order that the data set gives) and ``folder``
(of class folders, for mmpretrain's ``test.py``). What it finds is written into each job's ``out``
(``.npz``): logits, the Inferencer's answer for one image file, and test.py's accuracy.
"""

import json
import runpy
import sys
from pathlib import Path

import mmpretrain
import numpy as np
import torch
from mmpretrain import ImageClassificationInferencer, get_model

TEST = Path(mmpretrain.__file__).parent / '.mim' / 'tools' / 'test.py'


def run(job):
    checkpoint = torch.load(job['checkpoint'], weights_only=True, map_location='cpu')
    model = get_model(job['config'], pretrained=job['checkpoint'])
    data = model.data_preprocessor(dict(inputs=list(torch.from_numpy(np.load(job['images'])))))
    with torch.no_grad():
        logits = model(data['inputs'], mode='tensor').numpy()
    image = next(Path(job['folder']).rglob('*.png'))
    answer = ImageClassificationInferencer(job['config'])(str(image))[0]  # load_from
    metrics = Path(job['out']).with_suffix('.json')
    sys.argv = [str(TEST), job['config'], job['checkpoint'], '--work-dir', job['out'] + '.work',
                '--out', str(metrics), '--out-item', 'metrics', '--cfg-options',
                f'test_dataloader.dataset.data_root={job["folder"]}',
                'test_dataloader.num_workers=0', 'test_dataloader.persistent_workers=False']
    runpy.run_path(str(TEST), run_name='__main__')
    np.savez(job['out'], logits=logits, names=checkpoint['meta']['dataset_meta']['classes'],
             pred_class=answer['pred_class'], pred_scores=answer['pred_scores'], image=str(image),
             top1=json.loads(metrics.read_text())['accuracy/top1'])


if __name__ == '__main__':
    torch.set_num_threads(1)
    for one in json.loads(Path(sys.argv[1]).read_text()):
        run(one)
    assert not any(name.startswith('rescom_mm') for name in sys.modules)
