"""SQLite: one file in the state directory, which no other host can share."""
