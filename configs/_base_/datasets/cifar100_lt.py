"""CIFAR-100-LT at imbalance factor 100, two views a sample.

data_root holds the data set's official files. Validation and test are the same 10,000 images.
"""

data_root = 'data/cifar100'

# 255 times mean (0.4914, 0.4822, 0.4465) and std (0.2023, 0.1994, 0.2010); images are RGB
data_preprocessor = dict(num_classes=100, mean=[125.307, 122.961, 113.8575],
                         std=[51.5865, 50.847, 51.255], to_rgb=False)

augmentation = [
    dict(type='PaddedCropAndFlip', crop_size=32, padding=4, flip_prob=0.5),  # padded with 0
    dict(type='AutoAugmentCIFAR10', channel_order='rgb'),
    dict(type='ClippedCutout', side=16, fill=0),  # black: before the normalisation
]
train_pipeline = [
    dict(type='TwoViews', transforms=augmentation),
    dict(type='PackInputs'),
]
test_pipeline = [dict(type='PackInputs')]

train_dataloader = dict(
    batch_size=128,
    num_workers=4,
    persistent_workers=True,
    drop_last=True,
    dataset=dict(type='CIFAR100LT', data_root=data_root, split='train', imbalance_factor=100,
                 seed=0, pipeline=train_pipeline),
    sampler=dict(type='DefaultSampler', shuffle=True))
val_dataloader = dict(
    batch_size=200,
    num_workers=1,
    persistent_workers=True,
    dataset=dict(type='CIFAR100LT', data_root=data_root, split='test', pipeline=test_pipeline),
    sampler=dict(type='DefaultSampler', shuffle=False))
val_evaluator = [dict(type='ShotAccuracy'), dict(type='CalibrationError')]
test_dataloader = val_dataloader
test_evaluator = val_evaluator
