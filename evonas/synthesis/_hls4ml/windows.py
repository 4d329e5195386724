"""Which words a convolution or pooling window reads, as hls4ml's im2col gathers them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from evonas.synthesis.graph import ABSENT

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from evonas.synthesis._hls4ml.reader import Layer


def windows(layer: Layer) -> NDArray[np.int64]:
    """Indices (positions, taps, channels) into the input's words, row-major, channels last; ABSENT where padded.

    hls4ml's generated C++ ignores dilation, so it is refused rather than followed.
    """
    from evonas.synthesis._hls4ml.reader import unsupported

    layer.channels_last()
    for name in ("dilation", "dilation_width", "dilation_height"):
        if layer.integer(name, 1) != 1:
            unsupported(f"{layer.name}: a dilated convolution")
    shape = layer.input_shape()
    if layer.raw.class_name.startswith("Global"):
        return np.arange(int(np.prod(shape))).reshape(1, -1, shape[-1])
    if len(shape) == 2:
        shape = (1, *shape)
    height, width, channels = shape
    words = np.arange(height * width * channels).reshape(shape)
    pads = tuple((layer.integer(f"pad_{low}"), layer.integer(f"pad_{high}")) for low, high in _SIDES)
    words = np.pad(words, (*pads, (0, 0)), constant_values=ABSENT)
    kernel, stride = _extent(layer, "filt", "pool"), _extent(layer, "stride")
    views = np.lib.stride_tricks.sliding_window_view(words, kernel, axis=(0, 1))[:: stride[0], :: stride[1]]
    return np.ascontiguousarray(views.transpose(0, 1, 3, 4, 2)).reshape(-1, kernel[0] * kernel[1], channels)


_SIDES = (("top", "bottom"), ("left", "right"))


def _extent(layer: Layer, *names: str) -> tuple[int, int]:
    """(height, width) of the first attribute pair that the layer has; height 1 in one dimension."""
    name = next(name for name in names if layer.get(f"{name}_width") is not None)
    return layer.integer(f"{name}_height", 1), layer.integer(f"{name}_width")
