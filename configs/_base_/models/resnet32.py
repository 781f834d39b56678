"""The CIFAR ResNet-32 of the long-tailed papers: option-A shortcuts, 64 features."""

model = dict(
    type='ImageClassifier',
    backbone=dict(type='ResNetCIFAR', depth=32),
    neck=dict(type='GlobalAveragePooling'),
    # init_cfg=None: PyTorch's default initialisation, as in the released code
    head=dict(type='LinearClsHead', num_classes=100, in_channels=64, init_cfg=None))
