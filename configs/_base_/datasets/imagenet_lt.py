"""ImageNet-LT, two views a sample, each with crop, flip, colour jitter, grayscale and RandAugment.

The lists ImageNet_LT_{train,val,test}.txt lie in data_root beside ImageNet's train/ and val/.
Crop, jitter and grayscale give the pixels of torchvision's transforms on Pillow images; resizing
gives them to within 2 grey levels.
"""

data_root = 'data/imagenet'

data_preprocessor = dict(num_classes=1000, mean=[123.675, 116.28, 103.53],
                         std=[58.395, 57.12, 57.375], to_rgb=True)

augmentation = [
    dict(type='ResizedCropAndFlip', scale=224, crop_ratio_range=(0.08, 1.0), flip_prob=0.5),
    dict(type='FastColorJitter', channel_order='bgr', brightness=0.4, contrast=0.4, saturation=0.4),
    dict(type='PillowOp', op='color', channel_order='bgr', magnitude=-1, prob=0.2),  # to grey
    # the older policy, not timm's increasing one
    dict(type='RandAugmentNonIncreasing', channel_order='bgr', num_policies=2, magnitude_level=10,
         magnitude_std=0.5, prob=0.5),
]
train_pipeline = [
    dict(type='LoadImage'),
    dict(type='TwoViews', transforms=augmentation),
    dict(type='PackInputs'),
]
test_pipeline = [
    dict(type='LoadImage'),
    dict(type='ResizeEdge', scale=256, edge='short', backend='pillow'),
    dict(type='CenterCrop', crop_size=224),
    dict(type='PackInputs'),
]

train_dataloader = dict(
    batch_size=32,  # on each of 8 GPUs
    num_workers=8,
    persistent_workers=True,
    drop_last=True,
    dataset=dict(type='ImageNetLT', data_root=data_root, split='train', pipeline=train_pipeline),
    sampler=dict(type='DefaultSampler', shuffle=True))
val_dataloader = dict(
    batch_size=64,
    num_workers=8,
    persistent_workers=True,
    dataset=dict(type='ImageNetLT', data_root=data_root, split='val', pipeline=test_pipeline),
    sampler=dict(type='DefaultSampler', shuffle=False))
val_evaluator = [dict(type='ShotAccuracy'), dict(type='CalibrationError')]
test_dataloader = dict(
    batch_size=64,
    num_workers=8,
    dataset=dict(type='ImageNetLT', data_root=data_root, split='test', pipeline=test_pipeline),
    sampler=dict(type='DefaultSampler', shuffle=False))
test_evaluator = val_evaluator
