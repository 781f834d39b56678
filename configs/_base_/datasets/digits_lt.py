"""Digits-LT: scikit-learn's 8x8 digits at imbalance factor 20, one view a sample."""

data_preprocessor = dict(num_classes=10, mean=[78.0] * 3, std=[96.0] * 3, to_rgb=False)

# what changes a handwritten digit without making it another one: no flips, small warps
augmentation = [
    dict(type='RandomCrop', crop_size=8, padding=1),
    dict(type='Rotate', angle=15.0, prob=0.5),
    dict(type='Shear', magnitude=0.2, prob=0.5, direction='horizontal'),
]
train_pipeline = [*augmentation, dict(type='PackInputs')]
test_pipeline = [dict(type='PackInputs')]

train_dataloader = dict(
    batch_size=64,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(type='DigitsLT', split='train', imbalance_factor=20, seed=0,
                 pipeline=train_pipeline),
    sampler=dict(type='DefaultSampler', shuffle=True))
val_dataloader = dict(
    batch_size=500,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(type='DigitsLT', split='test', pipeline=test_pipeline),
    sampler=dict(type='DefaultSampler', shuffle=False))
val_evaluator = [dict(type='ShotAccuracy'), dict(type='CalibrationError')]
test_dataloader = val_dataloader
test_evaluator = val_evaluator
