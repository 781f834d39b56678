"""ONNX or torch.export: python tools/model/export.py CONFIG CHECKPOINT OUT.onnx (or OUT.pt2)."""

import rescom_mm  # noqa: F401  first: it readies the OpenMMLab stack  # isort: skip
from rescom_mm.apis.production.export import main

if __name__ == '__main__':
    main()
