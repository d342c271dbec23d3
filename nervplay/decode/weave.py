"""Operations on each value by itself as parts of chains: what lies between two convolutions then is never a whole map.

    chain -> [Points] -> chain      one chain, where each is the only reader of what is before it

What a `Points` reads beside, maps or numbers per channel, is there before the chain starts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from nervplay.decode.graph import Graph, Value
from nervplay.decode.lowering import Conv, Lowered, Step, TorchStep
from nervplay.decode.points import Group, Moments, Points, find_groups
from nervplay.decode.streams import Stream, Streamed

__all__ = ["Part", "Woven", "WovenStep", "inputs_of", "weave"]

Part = Conv | Points
WovenStep = TorchStep | list[Part] | Stream | Moments


@dataclass(frozen=True)
class Woven:
    """A network for the kernels.

    Args:
        steps: as those of `Streamed`, with chains of convolutions and `Points`, and what `Points` have to know.
    """

    steps: Sequence[WovenStep]


def inputs_of(step: WovenStep) -> list[Value]:
    """Return what a step reads."""
    if isinstance(step, TorchStep):
        return list(step.node.inputs())
    if isinstance(step, Moments):
        return [step.source]
    if isinstance(step, Stream):
        return step.inputs()
    beside = [value for part in step[1:] if isinstance(part, Points) for value in part.inputs() if value != part.source]
    return [*(step[0].inputs() if isinstance(step[0], Points) else [step[0].source]), *beside]


def _outputs(step: WovenStep) -> list[Value]:
    if isinstance(step, TorchStep):
        return [value for value in step.node.outputs if value is not None]
    if isinstance(step, Moments):
        return [step.factor, step.offset]
    return [step.target if isinstance(step, Stream) else step[-1].target]


class _Weaver:
    """Joins chains and operations on each value.

    Args:
        graph: the network.
        steps: the same, as steps.
        longest: most parts of a chain.
    """

    def __init__(self, graph: Graph, steps: Sequence[Step | Stream], longest: int) -> None:
        self._graph, self._longest = graph, longest
        alone = {id(step.node) for step in steps if isinstance(step, TorchStep)}
        self._groups, self._root, self._readers = find_groups(graph, alone)
        chains = [step for step in steps if isinstance(step, list)]
        read = {self._rooted(chain[0].source) for chain in chains if _joins(chain[0])}
        made = {self._rooted(chain[-1].target) for chain in chains if _joins(chain[-1]) and not chain[-1].is_head}
        # Others may be in another order in memory, and would have to be copied.
        good: dict[int, Group] = {}
        for last, group in sorted(self._groups.items(), key=lambda item: item[1].points.target.number):
            if group.points.target in read or any(value in made for value in group.points.maps()):
                good[last] = group
                made.add(group.points.target)
        self._groups = good

    def _rooted(self, value: Value) -> Value:
        return self._root.get(value, value)

    def _alone(self, value: Value) -> bool:
        """Whether only one node reads a value."""
        return len(self._readers.get(value, ())) == 1

    def steps(self, steps: Sequence[Step | Stream]) -> list[WovenStep]:
        """Return the steps of the network."""
        inside = {id(node) for group in self._groups.values() for node in group.nodes}
        made: list[WovenStep] = []
        for step in steps:
            if isinstance(step, TorchStep):
                group = self._groups.get(id(step.node))
                if group is not None:
                    made += group.moments.values()
                    self._append_points(made, group)
                elif id(step.node) not in inside:
                    made.append(step)
            elif isinstance(step, Stream):
                made.append(step)
            else:
                self._append_chain(made, step)
        return self._living(made)

    def _append_points(self, made: list[WovenStep], group: Group) -> None:
        """Add a group, behind the last chain that only it reads, if there is one."""
        points, nodes = group.points, {id(node) for node in group.nodes}
        maps = set(points.maps()) - {moments.source for moments in group.moments.values()}
        for step in reversed(made):
            if not isinstance(step, list) or len(step) >= self._longest or not _joins(step[-1]):
                continue
            target = self._rooted(step[-1].target)
            if target in maps and self._readers.get(target, {0}) <= nodes:
                made.remove(step)
                made.append([*step, points.reading(target)])
                return
        made.append([points])

    def _append_chain(self, made: list[WovenStep], chain: Sequence[Conv]) -> None:
        """Add a chain of convolutions, behind the operations that only it reads, if there are some."""
        source = self._rooted(chain[0].source)
        for step in made:
            if not isinstance(step, list) or not isinstance(step[-1], Points) or len(step) + len(chain) > self._longest:
                continue
            if step[-1].target == source and self._alone(source) and _joins(chain[0]):
                made.remove(step)
                made.append([*step, *chain])
                return
        made.append(list(chain))

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
    return isinstance(part, Points) or not (part.rows or part.depthwise or part.batch > 1)


def weave(graph: Graph, streamed: Lowered | Streamed, longest: int) -> Woven:
    """Return a network with operations on each value in its chains.

    Args:
        graph: what `trace` gave.
        streamed: the same, as steps.
        longest: most parts of a chain.
    """
    return Woven(_Weaver(graph, streamed.steps, longest).steps(streamed.steps))
