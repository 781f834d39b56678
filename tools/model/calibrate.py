"""Temperature scaling: python tools/model/calibrate.py CONFIG CHECKPOINT OUT.pth."""

import rescom_mm  # noqa: F401  first: it readies the OpenMMLab stack  # isort: skip
from rescom_mm.apis.production.calibrate import main

if __name__ == '__main__':
    main()
