"""Schedule of the Digits-LT configs: about a minute on two CPU cores.

The learning rate was chosen among 0.03, 0.1, 0.2 and 0.4 on the tune_train and tune_val splits,
where 0.2 was best for each of the compared methods.
"""

optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.2, momentum=0.9, weight_decay=5e-4))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, begin=0, end=5),
    dict(type='CosineAnnealingLR', begin=5, end=100, T_max=95, eta_min=0),
]
train_cfg = dict(by_epoch=True, max_epochs=100, val_interval=5)
val_cfg = dict()
test_cfg = dict()
auto_scale_lr = dict(base_batch_size=64)
