"""Trainings with mmpretrain alone, in a process that this package is no part of.

``python -m tests.stock.alone CONFIG WORK_DIR ...`` resumes a training in each of the folders and
prints, line by line, the iteration that it reaches or the error that it ends with.
"""

import json
import sys

from mmengine.config import Config
from mmengine.runner import Runner


def resume(config, work_dir):
    cfg = Config.fromfile(config)
    cfg.merge_from_dict(dict(work_dir=work_dir, resume=True, experiment_name=work_dir[1:]))
    runner = Runner.from_cfg(cfg)
    runner.train()
    return runner.iter


if __name__ == '__main__':
    for folder in sys.argv[2:]:
        try:
            said = resume(sys.argv[1], folder)
        except Exception as error:
            said = f'{type(error).__name__}: {error}'
        print(json.dumps(dict(folder=folder, said=said)), flush=True)
    assert not any(name.startswith('rescom_mm') for name in sys.modules)
