from .siambs_loss import SiamBSLoss
from .spm_loss import SPMLoss, effective_number_weights

__all__ = ['SPMLoss', 'SiamBSLoss', 'effective_number_weights']
