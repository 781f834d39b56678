"""ResNet-50 with a linear classifier, initialised as in torchvision (the paper's code uses it)."""

model = dict(
    type='ImageClassifier',
    # zero_init_residual: mmpretrain starts residual branches at zero, torchvision does not
    backbone=dict(type='ResNet', depth=50, zero_init_residual=False),
    neck=dict(type='GlobalAveragePooling'),
    # init_cfg=None: PyTorch's default initialisation, as in the released code
    head=dict(type='LinearClsHead', num_classes=1000, in_channels=2048, init_cfg=None))
