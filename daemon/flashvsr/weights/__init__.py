"""Which weights the model takes, and getting them."""
