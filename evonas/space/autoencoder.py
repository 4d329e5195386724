"""Auto-encoders: a network that gives back its input through a narrow middle; how badly it does is an anomaly score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, final

from evonas.errors import ConfigurationError
from evonas.space.composed import ComposedSpace

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from evonas.space.draft import Draft
    from evonas.space.genes import Choice, Gene


@final
@dataclass(frozen=True, kw_only=True)
class AutoencoderSpace(ComposedSpace):
    """Dense auto-encoders of `n_inputs` words: encoder, latent layer, decoder, and as many linear outputs."""

    sizes: ClassVar[tuple[str, ...]] = ("widths", "latent")
    depths: ClassVar[Mapping[str, tuple[int, int]]] = {"encoder_depth": (0, 32), "decoder_depth": (0, 32)}

    n_inputs: int
    encoder_depth: tuple[int, int] = (0, 2)
    decoder_depth: tuple[int, int] = (0, 2)
    widths: tuple[int, ...] = (8, 12, 16, 24, 32)
    latent: tuple[int, ...] = (2, 3, 4, 6)
    family = "autoencoder"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.latent[-1] >= self.widths[0]:
            mend = f"must be narrower than every width, {self.widths[0]} and up, so that the latent layer shows"
            raise ConfigurationError("space.latent", self.latent, mend)

    @property
    def input_shape(self) -> tuple[int, int]:
        """One position with all words."""
        return 1, self.n_inputs

    def layout(self) -> Iterable[Gene]:
        """Encoder, latent layer, decoder, output layer."""
        yield from self.stack("encoder", self.encoder_depth, self.widths)
        yield from self.layer("latent", width=self.latent)
        yield from self.stack("decoder", self.decoder_depth, self.widths)
        yield from self.layer("output", last=True)

    def draw(self, values: Mapping[str, Choice], draft: Draft) -> int:
        """Encoder, latent layer, decoder, output."""
        del values  # the stacks read their own
        words = draft.dense("latent", draft.layers("encoder", draft.input))
        return draft.output("output", draft.layers("decoder", words), self.n_inputs)
