"""RMSNorm over all channels of a token: the norm of the queries of cross-attention.

PyTorch's own makes a float32 copy of the tokens (T, D), then reads and writes them three more times.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """x / rms(x) * weight over the last axis, with float32 sums.

    Args:
        x: (T, D).
        weight: (D,).
        eps: added to the mean square.

    Returns:
        (T, D) of the format of x; a new tensor.
    """
    return (F.rms_norm(x.float(), weight.shape, eps=eps).to(x.dtype) * weight).to(x.dtype)
