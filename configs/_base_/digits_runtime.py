"""default_runtime.py with intervals for a training of a minute."""

_base_ = './default_runtime.py'

default_hooks = dict(logger=dict(interval=7), checkpoint=dict(interval=10))
