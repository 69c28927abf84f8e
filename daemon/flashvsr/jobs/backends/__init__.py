"""What the queue asks of its database in words that only that database understands.

`connector` says what that is. Each database is a module or a package beside it; nothing outside names more of it than
`Queue`, which chooses one, and what mends its files.
"""
