"""The worker: one process, one GPU or the CPU, one job at a time. Only here torch and decoders are loaded."""
