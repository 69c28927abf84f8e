"""What the subcommands of `flashvsr` do; each is imported only when it is called."""
