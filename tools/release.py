"""Bundle finished trainings for others: python tools/release.py WORK_DIR ... --out FOLDER."""

import rescom_mm  # noqa: F401  first: it readies the OpenMMLab stack  # isort: skip
from rescom_mm.apis.release import main

if __name__ == '__main__':
    main()
