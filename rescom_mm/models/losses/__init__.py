from .info_nce_loss import InfoNCELoss
from .siambs_loss import SiamBSLoss
from .spm_loss import SPMLoss, effective_number_weights

__all__ = ['InfoNCELoss', 'SPMLoss', 'SiamBSLoss', 'effective_number_weights']
