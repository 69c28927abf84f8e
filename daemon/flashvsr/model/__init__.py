"""The FlashVSR v1.1 "Tiny Long" network in plain PyTorch: knows tensors, not videos.

Read in this order: `windows` (which frames a step sees), `stream` (the schedule), `dit`, `attention`,
`lq_projection`, `decoder`, `color_correction`; `loading` alone touches files.
"""
