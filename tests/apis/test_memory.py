"""A full device: what this package keeps on it, and what shrinks that."""

import pytest
import torch

from rescom_mm.apis import train
from tests.runs import ROOT, TINY


@pytest.mark.parametrize('config, said', [
    (TINY, ['at 64 images (128 rows) a step', 'similarities 116736 bytes (0.1 MiB) a copy (at most '
            '[128, 228] float32', 'queue 13908 bytes', '(100 keys of 32 values)',
            'keys of a step 16384 bytes', 'model.queue.keys_per_class', 'num_negatives']),
    (ROOT / 'configs/baselines/ce_tiny_digits-lt.py', ['at 64 images (64 rows) a step'])],
    ids=['rescom', 'baseline'])
def test_message(tmp_path, config, said):
    file = tmp_path / 'config.py'
    delete = '_delete_=True, ' if config == TINY else ''
    file.write_text(f'''
_base_ = {str(config)!r}
custom_imports = dict(imports=['rescom_mm', 'tests.faults'])
model = dict(head=dict(loss=dict({delete}type='FaultyLoss', faults={{'2': 'memory'}})))
''')
    with pytest.raises(torch.cuda.OutOfMemoryError) as error:
        train.main([str(file), '--work-dir', str(tmp_path)])
    message = str(error.value)
    for part in (*said, 'train_dataloader.batch_size', '--amp', 'activation_checkpointing'):
        assert part in message
    assert ('queue' in message) == (config == TINY)
    assert 'Tried to allocate' in str(error.value.__cause__)
