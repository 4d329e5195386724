"""MLP-Mixers: layers over the features of each constituent and layers over the constituents of each feature, in turn.

Tolstikhin et al., arXiv:2105.01601; for jets on FPGAs Sun et al., arXiv:2503.03103. The order of the constituents
matters: they come sorted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, final

from evonas.space.constituents import ConstituentSpace
from evonas.space.genes import Choice, Condition, Gene

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from evonas.space.draft import Draft


@final
@dataclass(frozen=True, kw_only=True)
class MixerSpace(ConstituentSpace):
    """MLP-Mixers over `constituents` of `features` each.

    An embedding at every constituent sets the number of channels. Each of `blocks` mixes tokens (across constituents)
    and channels; where the gene `skip` says so, its input is added to what the tokens' layer gives. The head reads all
    words at once.
    """

    sizes: ClassVar[tuple[str, ...]] = ("channels", "widths")
    depths: ClassVar[Mapping[str, tuple[int, int]]] = {"blocks": (1, 32), "head_depth": (0, 32)}

    blocks: tuple[int, int] = (1, 2)
    head_depth: tuple[int, int] = (0, 1)
    channels: tuple[int, ...] = (4, 8, 12, 16)
    widths: tuple[int, ...] = (8, 16, 24, 32)
    family = "mixer"

    def layout(self) -> Iterable[Gene]:
        """Number of blocks, skip connections and their bits, the embedding, two layers for each block, the head."""
        low, high = self.blocks
        yield Gene("blocks", tuple(range(low, high + 1)))
        yield Gene("skip", ("no", "yes"), ordered=False)
        yield Gene("skip_bits", self.activation_bits, condition=Condition("skip", ("yes",)))
        yield from self.layer("embed", width=self.channels)
        for number in range(high):
            there = tuple(range(max(number + 1, low), high + 1))
            condition = Condition("blocks", there) if number >= low else None
            yield from self.layer(f"tokens{number}", condition)
            yield from self.layer(f"channels{number}", condition, width=self.channels)
        yield from self.stack("head", self.head_depth, self.widths)
        yield from self.layer("output", last=True)

    def draw(self, values: Mapping[str, Choice], draft: Draft) -> int:
        """Embedding, blocks, head."""
        words = draft.dense("embed", draft.input)
        for number in range(int(values["blocks"])):
            mixed = draft.dense(f"tokens{number}", draft.join("transpose", words), draft.shape(words)[0])
            mixed = draft.join("transpose", mixed)
            if values["skip"] == "yes":
                mixed = draft.join("add", mixed, words, bits=int(values["skip_bits"]))
            words = draft.dense(f"channels{number}", mixed)
        return draft.output("output", draft.layers("head", draft.join("flatten", words)), self.n_outputs)
