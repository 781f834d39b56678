"""The benchmarks are scripts: they find each other beside themselves."""

import sys

from tests.runs import ROOT

sys.path.insert(0, str(ROOT / 'tools' / 'benchmark'))
