"""The forms for GPUs of the operations in `flashvsr.kernels`: same names and arguments, on the current device.

A form may have one argument more, with a default: how its work is cut. Attention has three: in Triton, in Gluon for
Hopper, and the Block-Sparse-Attention extension, which needs no Triton; `attention_kernels` chooses.
"""
