"""SQLite: one file in the state directory, for the processes of one host."""
