"""The FlashVSR v1.1 "Tiny Long" network in plain PyTorch: knows tensors, not videos.

From a frame to the line that multiplies q by k: `stream` (the schedule) -> `stages` (what a window passes through, and
where it sits) -> `dit` (a layer) -> `attention` -> `flashvsr.kernels.block_sparse_attention`. On GPUs the stages are
those of `fused.stages`, which lead to the kernels in `flashvsr.kernels.gpu` the same way.

Beside it: `windows` (which frames, positions and slots belong to a step), `spec` (what one stream is asked for),
`lq_projection`, `decoder`, `color_correction`; `loading` alone touches files.
"""
