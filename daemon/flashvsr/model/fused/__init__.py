"""The stages on fused kernels, for CUDA GPUs: each module does what the plain one of its name does."""
