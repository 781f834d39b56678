"""Test a checkpoint: python tools/test.py CONFIG CHECKPOINT [options]; --help lists the options."""

import rescom_mm  # noqa: F401  first: it readies the OpenMMLab stack  # isort: skip
from rescom_mm.apis.test import main

if __name__ == '__main__':
    main()
