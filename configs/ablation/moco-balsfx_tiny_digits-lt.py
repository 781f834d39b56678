"""MoCo (key encoder, one FIFO queue, instance discrimination), and Balanced Softmax on the first
view, on Digits-LT."""

_base_ = './supcon-balsfx_tiny_digits-lt.py'

model = dict(
    # MoCo's 0.001 is for trainings of 100 times as many steps: here a run has 700
    key_encoder=dict(type='ExponentialMovingAverage', momentum=0.01),
    contrastive_loss=dict(_delete_=True, type='InfoNCELoss', temperature=0.2, loss_weight=0.5))
