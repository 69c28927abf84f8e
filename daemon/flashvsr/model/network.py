"""The three networks and the prompt that make one FlashVSR model."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from flashvsr.model.decoder import Decoder, DecoderParams
from flashvsr.model.dit import Conditioning, Dit, DitParams
from flashvsr.model.lq_projection import LqProjection, LqProjectionParams


class FlashVSR(nn.Module):
    """Transformer, LQ projection, decoder and prompt embedding (1, ctx, text_dim)."""

    prompt: Tensor

    def __init__(self, dit: DitParams, lq: LqProjectionParams, decoder: DecoderParams, prompt: Tensor) -> None:
        super().__init__()
        self.dit = Dit(dit)
        self.lq_projection = LqProjection(lq)
        self.decoder = Decoder(decoder)
        self.register_buffer("prompt", prompt)
        self._conditioning: Conditioning | None = None

    @property
    def device(self) -> torch.device:
        return self.prompt.device

    @property
    def dtype(self) -> torch.dtype:
        """Number format of the weights and of the computation."""
        return self.dit.patch_embedding.weight.dtype

    def conditioning(self) -> Conditioning:
        """Constants of the timestep and the prompt. Kept for inference, made anew where gradients flow."""
        if torch.is_grad_enabled():
            return self.dit.condition(self.prompt)
        known = self._conditioning
        if known is None or (known.time.device, known.time.dtype) != (self.device, self.dtype):
            self._conditioning = known = self.dit.condition(self.prompt)
        return known
