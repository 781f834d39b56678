"""The class prior of test images: python tools/model/prior.py CONFIG CHECKPOINT OUT.txt."""

import rescom_mm  # noqa: F401  first: it readies the OpenMMLab stack  # isort: skip
from rescom_mm.apis.production.priors import main

if __name__ == '__main__':
    main()
