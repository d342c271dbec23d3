"""Threads and child processes of the player: open, decode, measure, encode, export. The only place where Qt meets them.

Workers never touch widgets; they hand pictures to caches and answers to the player, on the player's thread.
"""

__all__: list[str] = []
