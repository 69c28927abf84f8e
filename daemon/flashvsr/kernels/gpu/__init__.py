"""The Triton forms of the operations in `flashvsr.kernels`: same names and arguments, on the current device."""
