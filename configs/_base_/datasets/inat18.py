"""iNaturalist 2018, two views a sample: ImageNet-LT's augmentation, statistics of its own.

The lists iNaturalist18_{train,val}.txt lie in data_root beside train_val2018/. There is one
evaluation list, so validation and test are the same images.
"""

_base_ = './imagenet_lt.py'

data_root = 'data/inat18'

# 255 times mean (0.466, 0.471, 0.380) and std (0.195, 0.194, 0.192)
data_preprocessor = dict(num_classes=8142, mean=[118.83, 120.105, 96.9],
                         std=[49.725, 49.47, 48.96])
train_dataloader = dict(dataset=dict(type='INaturalist18', data_root=data_root))
val_dataloader = dict(dataset=dict(type='INaturalist18', data_root=data_root))
test_dataloader = dict(dataset=dict(type='INaturalist18', data_root=data_root))
