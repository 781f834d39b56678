"""The paper's CIFAR schedule: 400 epochs, 10 of warm-up, 0.1, 0.01 from 321, 0.001 from 361.

The released script never writes its rate into the optimiser on CIFAR and stays at 0.1; the
steps are the paper's, the warm-up is what the code intends.
"""

optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=5e-4))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, begin=0, end=10),
    dict(type='MultiStepLR', milestones=[320, 360], gamma=0.1),
]
train_cfg = dict(by_epoch=True, max_epochs=400, val_interval=1)
val_cfg = dict()
test_cfg = dict()
auto_scale_lr = dict(base_batch_size=128)
