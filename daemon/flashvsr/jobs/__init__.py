"""Jobs: what is to be done, who does it, how it ended; one SQLite database in the state directory."""
