"""ResCom, ResNet-32, CIFAR-100-LT at imbalance factor 100, with data set and augmentation on the
device: the recipe of rescom_r32_cifar100-lt-if100.py with other draws.

For GPUs that would wait for the data. It is evaluated, and saved, every 20 epochs only, since an
evaluation takes longer than an epoch; the result is the last epoch's either way.
"""

_base_ = './rescom_r32_cifar100-lt-if100.py'

# crop, flip, AutoAugment's CIFAR-10 policy, Cutout: both views, of a whole batch
data_preprocessor = dict(augment=dict(type='CIFARAugment', views=2))
train_pipeline = [dict(type='PackInputs')]
train_dataloader = dict(num_workers=0, persistent_workers=False,
                        dataset=dict(pipeline=train_pipeline))
train_cfg = dict(val_interval=20)
default_hooks = dict(resident_data=dict(type='ResidentDataHook'), checkpoint=dict(interval=20))
