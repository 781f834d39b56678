"""Train configs over seeds and compare them: python tools/compare.py CONFIG ... [--seeds 10]."""

import rescom_mm  # noqa: F401  first: it readies the OpenMMLab stack  # isort: skip
from rescom_mm.apis.compare import main

if __name__ == '__main__':
    main()
