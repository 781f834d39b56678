"""Look through own images, write a config for them: python tools/data/inspect.py FOLDER."""

import os
import sys

# inspect.py in this folder would take the place of Python's own module
FOLDER = os.path.dirname(os.path.realpath(__file__))
sys.path[:] = [path for path in sys.path if os.path.realpath(path) != FOLDER]

import rescom_mm  # noqa: F401  first: it readies the OpenMMLab stack  # isort: skip
from rescom_mm.apis.own_images.inspect_data import main

if __name__ == '__main__':
    main()
