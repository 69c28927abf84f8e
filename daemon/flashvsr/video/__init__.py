"""Video in and out: probe, decode, encode, chunk, mux, verify. PyAV and numpy only; knows no model."""
