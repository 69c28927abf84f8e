"""Names of the files of a weights folder. Asking for them does not load torch."""

from __future__ import annotations

DIT_FILE = "diffusion_pytorch_model_streaming_dmd.safetensors"
LQ_FILE = "LQ_proj_in.ckpt"
DECODER_FILE = "TCDecoder.ckpt"
PROMPT_FILE = "posi_prompt.pth"
VAE_FILE = "Wan2.1_VAE.pth"  # part of the distribution, not used by Tiny Long
REQUIRED_FILES = (DIT_FILE, LQ_FILE, DECODER_FILE, PROMPT_FILE)
