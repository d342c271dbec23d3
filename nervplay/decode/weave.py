"""Operations on each value, and ghost modules, as parts of chains: of what lies between two convolutions rows are kept.

    chain -> [Points | Ghost] -> chain      one chain, where each is the only reader of what is before it

What a part reads beside, maps or numbers per channel, is there before the chain starts.
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from nervplay.decode.ghosts import FoundGhost, Ghost, find_ghosts
from nervplay.decode.graph import Graph, Value
from nervplay.decode.lowering import Conv, Lowered, TorchStep
from nervplay.decode.nets import Net, NetStep, Netted
from nervplay.decode.points import Group, Moments, Points, Reading, find_groups
from nervplay.decode.streams import Stream, Streamed

__all__ = ["Part", "Woven", "WovenStep", "inputs_of", "weave"]

Part = Conv | Points | Ghost
WovenStep = TorchStep | list[Part] | Stream | Net | Moments


@dataclass(frozen=True)
class Woven:
    """A network for the kernels.

    Args:
        steps: as those of `Streamed`, with chains of all kinds of parts, and what `Points` have to know.
    """

    steps: Sequence[WovenStep]


def inputs_of(step: WovenStep) -> list[Value]:
    """Return what a step reads."""
    if isinstance(step, TorchStep):
        return list(step.node.inputs())
    if isinstance(step, Moments):
        return [step.source]
    if isinstance(step, Stream | Net):
        return step.inputs()
    beside = [value for part in step if not isinstance(part, Conv) for value in part.inputs() if value != part.source]
    return [step[0].source, *beside]


def _outputs(step: WovenStep) -> list[Value]:
    if isinstance(step, TorchStep):
        return [value for value in step.node.outputs if value is not None]
    if isinstance(step, Moments):
        return [step.factor, step.offset]
    if isinstance(step, Net):
        return list(step.outputs)
    return [step.target if isinstance(step, Stream) else step[-1].target]


class _Weaver:
    """Joins chains and what is between them.

    Args:
        graph: the network.
        steps: the same, as steps.
        longest: most parts of a chain.
    """

    def __init__(self, graph: Graph, steps: Sequence[NetStep], longest: int) -> None:
        self._graph, self._longest = graph, longest
        alone = {id(step.node) for step in steps if isinstance(step, TorchStep)}
        chains = [step for step in steps if isinstance(step, list)]
        self._reading = Reading(graph, alone)
        # Where each part is to run by itself, the gates of ghost modules are convolutions, too.
        found = find_ghosts(graph, chains, self._reading.root, self._reading.readers, gates=longest > 1)
        self._ghosts: dict[int, FoundGhost] = {id(each.nodes[-1]): each for each in found}
        self._shuffled = {value: each.ghost.factor for each in found for value in each.shuffled}
        self._swallowed = {each.ghost.depthwise.target for each in found}
        self._swallowed |= {value for each in found if each.ghost.made for value in each.ghost.made.swallowed}
        self._inside = {id(node) for each in found for node in each.nodes}
        nets = [unit for step in steps if isinstance(step, Net) for unit in step.units]
        maps = {unit.target.value for unit in nets if not unit.conv.is_head}
        self._groups = self._in_order(find_groups(graph, alone - self._inside, self._reading), chains, maps)
        self._inside |= {id(node) for group in self._groups.values() for node in group.nodes}

    def _in_order(
        self, groups: dict[int, Group], chains: Sequence[Sequence[Conv]], maps: AbstractSet[Value]
    ) -> dict[int, Group]:
        """Return the groups that touch a chain, or maps: others may be in another order in memory, and be copied."""
        rooted = self._reading.rooted
        read = {rooted(chain[0].source) for chain in chains if _joins(chain[0])}
        made = {rooted(chain[-1].target) for chain in chains if _joins(chain[-1]) and not _is_head(chain[-1])}
        made |= {each.ghost.target for each in self._ghosts.values()} | maps
        good: dict[int, Group] = {}
        for last, group in sorted(groups.items(), key=lambda item: item[1].points.target.number):
            if group.points.target in read or any(value in made for value in group.points.maps()):
                good[last] = group
                made.add(group.points.target)
        return good

    def steps(self, steps: Sequence[NetStep]) -> list[WovenStep]:
        """Return the steps of the network."""
        made: list[WovenStep] = []
        for step in steps:
            if isinstance(step, Stream | Net):
                made.append(step)
            elif isinstance(step, TorchStep):
                self._append_node(made, step)
            elif step[0].target not in self._swallowed:
                *first, last = step
                factor = self._shuffled.get(last.target, last.shuffle)
                self._append(made, [*first, last if factor == last.shuffle else replace(last, shuffle=factor)])
        return self._living(made)

    def _append_node(self, made: list[WovenStep], step: TorchStep) -> None:
        """Add what an operation of PyTorch has become."""
        group, ghost = self._groups.get(id(step.node)), self._ghosts.get(id(step.node))
        if ghost is not None:
            self._append(made, [ghost.ghost])
        elif group is not None:
            made += group.moments.values()
            self._append_points(made, group)
        elif id(step.node) not in self._inside:
            made.append(step)

    def _append_points(self, made: list[WovenStep], group: Group) -> None:
        """Add a group, behind the last chain that only it reads, if there is one."""
        points, nodes = group.points, {id(node) for node in group.nodes}
        maps = set(points.maps()) - {moments.source for moments in group.moments.values()}
        for step in reversed(made):
            if not isinstance(step, list) or len(step) >= self._longest or not _joins(step[-1]) or _is_head(step[-1]):
                continue
            target = self._reading.rooted(step[-1].target)
            if target in maps and self._reading.readers.get(target, {0}) <= nodes:
                made.remove(step)
                made.append([*step, points.reading(target)])
                return
        made.append([points])

    def _append(self, made: list[WovenStep], parts: Sequence[Part]) -> None:
        """Add a chain, behind the one that only it reads, if one of them begins or ends with what is no convolution."""
        source, first = self._reading.rooted(parts[0].source), parts[0]
        for step in made:
            if not isinstance(step, list) or len(step) + len(parts) > self._longest:
                continue
            new = not (isinstance(step[-1], Conv) and isinstance(first, Conv))
            follows = self._reading.rooted(step[-1].target) == source and _joins(step[-1]) and _joins(first)
            # Of what a ghost module reads, it has swallowed the other reader.
            alone = isinstance(first, Ghost) or len(self._reading.readers.get(source, ())) == 1
            if new and follows and alone:
                made.remove(step)
                made.append([*step, *parts])
                return
        made.append(list(parts))

    def _living(self, steps: Sequence[WovenStep]) -> list[WovenStep]:
        """Return the steps without those whose results nobody reads any more."""
        needed, living = {self._graph.output}, list[WovenStep]()
        for step in reversed(steps):
            if any(value in needed for value in _outputs(step)):
                needed.update(inputs_of(step))
                living.append(step)
        return living[::-1]


def _joins(part: Part) -> bool:
    """Whether a part runs row by row, in a chain."""
    return not isinstance(part, Conv) or not (part.rows or part.depthwise or part.batch > 1)


def _is_head(part: Part) -> bool:
    """Whether a part was calibrated as what ends its chain: that it still has to do."""
    return isinstance(part, Conv) and part.is_head


def weave(graph: Graph, streamed: Lowered | Streamed | Netted, longest: int) -> Woven:
    """Return a network with all that its chains can hold.

    Args:
        graph: what `trace` gave.
        streamed: the same, as steps.
        longest: most parts of a chain.
    """
    return Woven(_Weaver(graph, streamed.steps, longest).steps(streamed.steps))
