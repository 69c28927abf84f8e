"""How settings are described and read: kinds of values, TOML with lines, environment, small files.

`flashvsr.settings.config` and `flashvsr.settings.preset` are made of these pieces; everything else imports those two.
"""
