"""Places-LT, two views a sample. The lists Places_LT_{train,val,test}.txt lie in data_root.

The paper fine-tunes "without additional augmentation"; crop and flip are taken for that [guess].
(PaCo's script, which it follows, has two views with colour jitter, grayscale and blur besides.)
"""

_base_ = './imagenet_lt.py'

data_root = 'data/places'

data_preprocessor = dict(num_classes=365)
train_pipeline = [
    dict(type='LoadImage'),
    dict(type='TwoViews', transforms=[
        dict(type='ResizedCropAndFlip', scale=224, crop_ratio_range=(0.08, 1.0), flip_prob=0.5),
    ]),
    dict(type='PackInputs'),
]
train_dataloader = dict(
    dataset=dict(type='PlacesLT', data_root=data_root, pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(type='PlacesLT', data_root=data_root))
test_dataloader = dict(dataset=dict(type='PlacesLT', data_root=data_root))
