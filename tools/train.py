"""Train a model: python tools/train.py CONFIG [options]; --help lists the options."""

import stop_early  # first: the other imports take seconds  # isort: skip
import rescom_mm  # noqa: F401  before the rest: it readies the OpenMMLab stack  # isort: skip
from rescom_mm.apis.train import main

if __name__ == '__main__':
    stop_early.even_if_blocked()
    main()
