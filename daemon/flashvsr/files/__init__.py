"""The ground for files: trees that other people write to, small texts, moves that replace nothing."""
