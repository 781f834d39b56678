"""ResNet-50 with a linear classifier in PyTorch's default initialisation."""

model = dict(
    type='ImageClassifier',
    backbone=dict(type='ResNet', depth=50),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=1000, in_channels=2048, init_cfg=None))
