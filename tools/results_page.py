"""Generate docs/results.md from result files: python tools/results_page.py [--add FILE ...]."""

import rescom_mm  # noqa: F401  first: it readies the OpenMMLab stack  # isort: skip
from rescom_mm.apis.results_page import main

if __name__ == '__main__':
    main()
