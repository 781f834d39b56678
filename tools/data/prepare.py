"""Link, fetch and check a benchmark: python tools/data/prepare.py NAME --images DIR --download."""

import rescom_mm  # noqa: F401  first: it readies the OpenMMLab stack  # isort: skip
from rescom_mm.apis.prepare_data import main

if __name__ == '__main__':
    main()
