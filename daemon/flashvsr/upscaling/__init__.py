"""One file from source to result, whoever asks: the worker, the command, the library, the bench."""
