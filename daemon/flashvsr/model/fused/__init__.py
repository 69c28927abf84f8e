"""The model's stages on fused kernels, for CUDA GPUs: the same functions as the plain modules above."""
