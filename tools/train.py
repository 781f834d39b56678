"""Train a model: python tools/train.py CONFIG [options]; --help lists the options."""

import rescom_mm  # noqa: F401  first: it readies the OpenMMLab stack  # isort: skip
from rescom_mm.apis.train import main

if __name__ == '__main__':
    main()
