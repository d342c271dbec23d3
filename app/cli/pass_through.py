"""Commands that hand their arguments on to another program: options of ours stand before the first of its own."""

import click

from app.cli.command import NervplayCommand

__all__ = ["PassThroughCommand"]


class PassThroughCommand(NervplayCommand):
    """A command whose leading `--options` are ours; the rest goes to its `arguments` parameter as it is."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Split the arguments where ours end."""
        ours = self.count_ours(args)
        rest = args[ours:]
        return super().parse_args(ctx, [*args[:ours], "--", *rest] if rest else args[:ours])

    def count_ours(self, args: list[str]) -> int:
        """Return how many words at the start are options of ours with their values."""
        options = {word: option for option in self.params if isinstance(option, click.Option) for word in option.opts}
        count = 0
        while count < len(args) and (args[count].startswith("--") or args[count] == "-h"):
            name, _, value = args[count].partition("=")
            option = options.get(name)
            if option is None and name not in ("--help", "-h"):
                return count
            count += 1 if value or option is None or option.is_flag or option.count else 2
        return min(count, len(args))
