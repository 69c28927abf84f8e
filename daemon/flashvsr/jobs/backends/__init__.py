"""What the queue asks of its database in words that only that database understands: one module for each."""
