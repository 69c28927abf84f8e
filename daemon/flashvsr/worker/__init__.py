"""The worker: one process, one GPU or the CPU, one job at a time. What it does with a video is in `upscaling`."""
