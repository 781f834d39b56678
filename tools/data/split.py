"""Lists of a long-tailed training and a balanced test set: python tools/data/split.py FOLDER."""

import rescom_mm  # noqa: F401  first: it readies the OpenMMLab stack  # isort: skip
from rescom_mm.apis.split_data import main

if __name__ == '__main__':
    main()
