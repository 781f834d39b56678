"""A checkpoint for inference: python tools/model/strip.py CONFIG CHECKPOINT [OUT.pth]."""

import rescom_mm  # noqa: F401  first: it readies the OpenMMLab stack  # isort: skip
from rescom_mm.apis.production.strip import main

if __name__ == '__main__':
    main()
