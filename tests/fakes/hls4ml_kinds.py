"""One function for each kind of layer: draws shapes, types and weights and adds the layers to a `Branch`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from evonas.models.fixed_point import FixedPoint

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakes.hls4ml_graphs import Branch

KINDS: dict[str, Callable[[Branch], None]] = {}
LAST = {"data_format": "channels_last"}
NARROW = FixedPoint(False, 16, 0)


def kind(*names: str) -> Callable[[Any], Any]:
    """Register a function under names; with several names it is called with each as its second argument."""

    def register(function: Any) -> Any:
        for name in names:
            KINDS[name] = function if len(names) == 1 else lambda branch, name=name: function(branch, name)
        return function

    return register


def weights(
    b: Branch, *shape: int, name: str = "weight", bias: int = 0, **fixed: Any
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Types and attributes of a weight (and a bias) with random numbers."""
    chosen = b.type((2, 8), (-1, 3), **fixed)
    types, data = {name: chosen}, {f"{name}_data": b.numbers(chosen, *shape)}
    if bias:
        types["bias"] = b.type((2, 10), (-1, 4))
        data["bias_data"] = b.numbers(types["bias"], bias)
    return types, data


def results(b: Branch) -> dict[str, Any]:
    """Types of sum and result."""
    return {"accum": b.integer_or(b.accumulator()), "result": b.integer_or(b.type((3, 14), (0, 7)))}


@kind("dense", "dense_latency_reuse", "dense_resource", "dense_resource_wide", "dense_ternary")
def dense(b: Branch, name: str) -> None:
    n_in, n_out = b.whole(2, 4) * 2, b.whole(1, 5)
    types, data = weights(b, n_in, n_out, bias=n_out)
    options: dict[str, Any] = {}
    if name == "dense_latency_reuse":
        options = {"Strategy": "Latency", "ReuseFactor": 2}
    elif name == "dense_resource":
        options = {"Strategy": "Resource", "ReuseFactor": b.pick(1, 2, n_in // 2, n_in)}
    elif name == "dense_resource_wide":
        options = {"Strategy": "Resource", "ReuseFactor": n_in * n_out}
    elif name == "dense_ternary":
        types["weight"], data["weight_data"] = "int<2>", b.rng.integers(-2, 2, (n_in, n_out))
    b.layer("Dense", [b.input(n_in)], types | results(b), options, n_in=n_in, n_out=n_out, **data)


@kind("dense_on_rows")
def dense_on_rows(b: Branch) -> None:
    n_in, n_out = b.whole(2, 5), b.whole(1, 4)
    types, data = weights(b, n_in, n_out, bias=n_out)
    b.layer("Dense", [b.input(b.whole(2, 4), n_in)], types | results(b), n_in=n_in, n_out=n_out, **data)


def sliding(b: Branch, n: int, *, pointwise: bool = False, pool: bool = False) -> dict[str, int]:
    """Size, kernel, stride and padding along one axis."""
    kernel = 1 if pointwise else b.whole(2 if pool else 1, 3)
    stride = 1 if pointwise else b.whole(1, 2)
    low, high = (0, 0) if pointwise else (b.whole(0, kernel - 1), b.whole(0, kernel - 1))
    return {
        "in": n,
        "filt": kernel,
        "stride": stride,
        "low": low,
        "high": high,
        "out": (n + low + high - kernel) // stride + 1,
    }


def along(
    b: Branch, dimensions: int, window: str = "filt", **how: Any
) -> tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]:
    """Spatial input shape, kernel and hls4ml's attributes of a window in one or two dimensions."""
    named = [("width", "left", "right", b.whole(3, 6))]
    if dimensions == 2:
        named.insert(0, ("height", "top", "bottom", b.whole(3, 4)))
    attributes: dict[str, Any] = dict(LAST)
    shape, kernel = [], []
    for axis, first, last, n in named:
        size = sliding(b, n, **how)
        shape.append(n)
        kernel.append(size["filt"])
        attributes |= {f"in_{axis}": n, f"out_{axis}": size["out"], f"{window}_{axis}": size["filt"]}
        attributes |= {f"stride_{axis}": size["stride"], f"pad_{first}": size["low"], f"pad_{last}": size["high"]}
        attributes |= {f"dilation_{axis}": 1}
    return tuple(shape), tuple(kernel), attributes


@kind(
    *("conv1d", "conv2d", "pointwise1d", "pointwise2d"),
    *("resource_conv1d", "resource_conv2d", "resource_pointwise1d", "resource_pointwise2d"),
)
def convolution(b: Branch, name: str) -> None:
    dimensions = int(name[-2])
    shape, kernel, attributes = along(b, dimensions, pointwise="pointwise" in name)
    channels, filters = b.whole(1, 3), b.whole(1, 3)
    types, data = weights(b, *kernel, channels, filters, bias=filters)
    options = {}
    if name.startswith("resource"):  # hls4ml's C++ is right up to as many products as a filter has
        n_in = int(np.prod(kernel)) * channels
        reuse = b.pick(*(factor for factor in range(1, n_in + 1) if n_in % factor == 0))
        options = {"Strategy": "Resource", "ReuseFactor": reuse, "ParallelizationFactor": b.pick(1, 1, 2, 3, 99)}
    b.layer(
        f"Conv{dimensions}D", [b.input(*shape, channels)], types | results(b), options,
        n_chan=channels, n_filt=filters, **attributes, **data,
    )  # fmt: skip


@kind("depthwise1d", "depthwise2d")
def depthwise(b: Branch, name: str) -> None:
    shape, kernel, attributes = along(b, int(name[-2]))
    channels = b.whole(1, 3)
    types, data = weights(b, *kernel, channels, 1, bias=channels)
    data["depthwise_data"] = data.pop("weight_data")
    b.layer(
        f"DepthwiseConv{name[-2]}D", [b.input(*shape, channels)], types | results(b),
        n_chan=channels, n_filt=channels, depth_multiplier=1, **attributes, **data,
    )  # fmt: skip


@kind("separable1d", "separable2d")
def separable(b: Branch, name: str) -> None:
    shape, kernel, attributes = along(b, int(name[-2]))
    channels, filters = b.whole(1, 3), b.whole(1, 3)
    types, data = weights(b, *kernel, channels, 1, name="depthwise")
    more_types, more_data = weights(b, *(1 for _ in kernel), channels, filters, name="pointwise", bias=filters)
    sums = {
        "depthwise_accum": b.accumulator(),
        "pointwise_accum": b.accumulator(),
        "depthwise_result": b.type((3, 12), (0, 6)),
        "result": b.type((3, 14), (0, 7)),
    }
    b.layer(
        f"SeparableConv{name[-2]}D", [b.input(*shape, channels)], types | more_types | sums,
        n_chan=channels, n_filt=filters, depth_multiplier=1, **attributes, **data, **more_data,
    )  # fmt: skip


@kind("max_pool1d", "max_pool2d", "average_pool1d", "average_pool2d")
def pooling(b: Branch, name: str) -> None:
    dimensions = int(name[-2])
    shape, _, attributes = along(b, dimensions, "pool", pool=True)
    if dimensions == 1:
        attributes |= {"n_in": attributes["in_width"], "n_out": attributes["out_width"]}
    channels, which = b.whole(1, 3), name.split("_")[0].capitalize()
    source = b.input(*shape, channels, kind=b.type(signed=True) if which == "Max" else None)
    attributes["count_pad"] = bool(b.rng.random() < 0.5)
    b.layer(
        f"{which}Pooling{dimensions}D",
        [source],
        results(b) | {"accum": b.accumulator()},
        n_filt=channels,
        n_chan=channels,
        **attributes,
    )


@kind("global_max1d", "global_max2d", "global_average1d", "global_average2d")
def global_pooling(b: Branch, name: str) -> None:
    height, width, channels = b.whole(2, 3), b.whole(2, 4), b.whole(1, 3)
    which = name.split("_")[1][:-2].capitalize()
    size = {"in_height": height, "in_width": width} if name[-2] == "2" else {"n_in": width}
    source = b.input(*((height, width, channels) if name[-2] == "2" else (width, channels)))
    types = results(b) | {"accum": b.accumulator()}
    b.layer(f"Global{which}Pooling{name[-2]}D", [source], types, n_filt=channels, **size, **LAST)


@kind("batch_norm")
def batch_norm(b: Branch) -> None:
    channels = b.whole(2, 4)
    shape = b.pick((channels,), (3, channels), (2, 2, channels))
    scale, bias = b.type((2, 8), (-1, 3)), b.type((2, 10), (-1, 4))
    per_word = len(shape) == 1
    b.layer(
        "BatchNormalization", [b.input(*shape)], {"scale": scale, "bias": bias, "result": b.type((3, 14), (0, 7))},
        n_in=int(np.prod(shape)), n_filt=-1 if per_word else channels,
        scale_data=b.numbers(scale, channels), bias_data=b.numbers(bias, channels),
    )  # fmt: skip


@kind("linear", "relu", "relu6", "relu1", "binary_tanh", "sigmoid", "tanh", "softplus", "softsign", "selu")
def activation(b: Branch, name: str) -> None:
    wide = b.type((6, 14), (2, 6))
    options: dict[str, Any] = {}
    if name in ("sigmoid", "tanh", "softplus", "softsign", "selu"):
        options = {"table_t": b.type((4, 18), (1, 4)), "table_size": b.pick(1024, 512, 100, 64)}
    b.layer(
        "Activation", [b.input(6, kind=wide)], {"result": b.type((2, 12), (0, 5))}, options, activation=name, n_in=6
    )


@kind("leaky_relu", "elu", "elu_plain")
def parametrised(b: Branch, name: str) -> None:
    types = {"result": b.type((3, 12), (0, 5)), "param": b.type((2, 10), (0, 1), signed=True)}
    tables = {"table_t": b.type((4, 18), (1, 3), signed=True), "table_size": b.pick(1024, 256)}
    source = b.input(5, kind=b.type((5, 12), (1, 5)))
    slope = float(b.rng.uniform(0, 1))
    if name == "leaky_relu":
        b.layer("LeakyReLU", [source], types, activation="LeakyReLU", activ_param=slope, n_in=5)
    elif name == "elu":
        b.layer("ELU", [source], types, tables, activation="ELU", activ_param=slope, n_in=5)
    else:
        b.layer("Activation", [source], {"result": types["result"]}, tables, activation="elu", n_in=5)


@kind("prelu")
def prelu(b: Branch) -> None:
    slope = b.type((2, 8), (-1, 2))
    data = b.numbers(slope, 5)
    b.layer(
        "PReLU",
        [b.input(5)],
        {"param": slope, "result": b.type((3, 12), (0, 5))},
        activation="prelu",
        param_data=data,
        n_in=5,
    )


@kind("ternary_tanh")
def ternary_tanh(b: Branch) -> None:
    source = b.input(5, kind=b.type((3, 10), (-1, 5)))
    b.layer("Activation", [source], {"result": b.type((2, 8), (2, 4), signed=True)}, activation="ternary_tanh", n_in=5)


@kind("hard_sigmoid", "hard_tanh")
def hard(b: Branch, name: str) -> None:
    source = b.input(5, kind=b.type((3, 10), (0, 5)))
    slope = float(b.pick(0.2, 0.5, 0.1875))
    b.layer(
        "HardActivation", [source], {"result": b.type((3, 12), (0, 4))}, activation=name, slope=slope, shift=0.5, n_in=5
    )


@kind("softmax_stable", "softmax_latency", "softmax_argmax", "softmax_stable_rows", "softmax_default")
def softmax(b: Branch, name: str) -> None:
    implementation = name.split("_")[1].replace("default", "stable")
    n, extra, shape = b.whole(2, 6), {}, None
    if name.endswith("rows"):
        extra = {"n_outer": 2, "n_inner": b.pick(1, 2)}
        shape = (2, n, extra["n_inner"])
    source = b.input(*(shape or (n,)), kind=b.type((5, 10), (2, 5)))
    words = int(np.prod(shape or (n,)))
    options: dict[str, Any] = {"implementation": implementation}
    if name != "softmax_default":
        options |= {f"{table}_t": b.type((10, 18), (3, 8)) for table in ("exp_table", "inv_table", "inv_inp", "accum")}
        options["table_size"] = b.pick(1024, 256, 64)
    b.layer(
        "Softmax", [source], {"result": b.type((4, 14), (0, 3))}, options,
        activation="softmax", axis=-1, n_in=words, **extra,
    )  # fmt: skip


@kind("add", "subtract", "multiply", "average", "maximum", "minimum")
def merge(b: Branch, name: str) -> None:
    shape = b.pick((5,), (3, 2), (2, 2, 2))  # sizes of one digit: hls4ml compares them as text
    second = shape if name in ("maximum", "minimum") or b.rng.random() < 0.5 else shape[-1:]
    b.layer("Merge", [b.input(*shape), b.input(*second)], {"result": b.type((3, 12), (0, 6))}, op=name)


@kind("dot")
def dot(b: Branch) -> None:
    b.layer("Dot", [b.input(5), b.input(5)], results(b), op="dot1d", axes=1)


@kind("concatenate")
def concatenate(b: Branch) -> None:
    rank = b.whole(1, 3)
    shape = [b.whole(1, 3) for _ in range(rank)]
    axis = b.whole(0, rank - 1)
    other = list(shape)
    other[axis] += b.whole(0, 2)
    written = b.pick(axis + 1, axis - rank)
    types = {"result": b.type((3, 12), (0, 6))}
    b.layer("Concatenate", [b.input(*shape), b.input(*other)], types, op=f"concatenate{rank}d", axis=written)


@kind("reshape", "transpose")
def rearrange(b: Branch, name: str) -> None:
    shape = [b.whole(2, 3) for _ in range(b.whole(2, 3))]
    source = b.input(*shape)
    if name == "reshape":
        middle = b.layer("Reshape", [source], {"result": "auto"}, target_shape=[int(np.prod(shape))])
    else:
        middle = b.layer(
            "Transpose", [source], {"result": "auto"}, perm=[int(i) for i in b.rng.permutation(len(shape))]
        )
    b.layer("Activation", [middle], {"result": b.type((3, 12), (0, 6))}, activation="relu", n_in=int(np.prod(shape)))


@kind("pad1d", "pad2d", "crop1d", "crop2d")
def pad_or_crop(b: Branch, name: str) -> None:
    channels = b.whole(1, 3)
    sides = (
        [("width", "left", "right")] if name[-2] == "1" else [("height", "top", "bottom"), ("width", "left", "right")]
    )
    verb, sign, title = ("pad", 1, "ZeroPadding") if name.startswith("pad") else ("crop", -1, "Cropping")
    attributes: dict[str, Any] = {"n_chan": channels, **LAST}
    shape = []
    for axis, first, last in sides:
        n, low, high = b.whole(3, 4), b.whole(0, 1), b.whole(0, 1)
        attributes |= {
            f"in_{axis}": n,
            f"out_{axis}": n + sign * (low + high),
            f"{verb}_{first}": low,
            f"{verb}_{last}": high,
        }
        shape.append(n)
    middle = b.layer(f"{title}{name[-2]}D", [b.input(*shape, channels)], {}, **attributes)
    words = int(np.prod([attributes[f"out_{axis}"] for axis, *_ in sides])) * channels
    b.layer("Activation", [middle], {"result": b.type((3, 12), (0, 6))}, activation="relu", n_in=words)


@kind("resize1d", "resize2d")
def resize(b: Branch, name: str) -> None:
    channels, height, width = b.whole(1, 2), b.whole(2, 3) if name[-2] == "2" else 1, b.whole(2, 4)
    taller, wider = b.whole(2, 3) * height if name[-2] == "2" else 1, b.whole(1, 3) * width
    source = b.input(*((height, width, channels) if name[-2] == "2" else (width, channels)))
    middle = b.layer(
        f"UpSampling{name[-2]}D", [source], {}, n_chan=channels, in_height=height, in_width=width,
        out_height=taller, out_width=wider, algorithm="nearest", **LAST,
    )  # fmt: skip
    words = taller * wider * channels
    b.layer("Activation", [middle], {"result": b.type((3, 12), (0, 6))}, activation="relu", n_in=words)


@kind("einsum")
def einsum(b: Branch) -> None:
    equation, first, second, out = b.pick(
        ("ab,bc->ac", (2, 3), (3, 2), (2, 2)),
        ("abc,adc->abd", (2, 2, 3), (2, 3, 3), (2, 2, 3)),
        ("abc,adc->dba", (2, 2, 3), (2, 3, 3), (3, 2, 2)),
    )
    sources = [b.input(*first), b.input(*second)]
    b.layer("Einsum", sources, results(b), equation=equation, inp0_shape=first, inp1_shape=second, out_shape=out)


@kind("einsum_dense")
def einsum_dense(b: Branch) -> None:
    equation, source, kernel, out, bias = b.pick(
        ("ab,bc->ac", (2, 3), (3, 2), (2, 2), (2,)),
        ("ab,bcd->acd", (2, 3), (3, 2, 2), (2, 2, 2), (2, 2)),
        ("abc,acd->abd", (2, 2, 3), (2, 3, 2), (2, 2, 2), (2,)),
        ("abc,cd->dab", (2, 2, 3), (3, 2), (2, 2, 2), (2, 1, 1)),
    )
    types, data = weights(b, *kernel)
    types["bias"] = b.type((2, 10), (-1, 4))
    data["bias_data"] = b.numbers(types["bias"], *bias)
    b.layer(
        "EinsumDense",
        [b.input(*source)],
        types | results(b),
        equation=equation,
        inp_shape=source,
        out_shape=out,
        **data,
    )


@kind("gru", "gru_torch", "lstm", "lstm_torch")
def recurrent(b: Branch, name: str) -> None:
    """Torch has its own order of gates in GRU, and hls4ml a second bias of LSTM only for torch."""
    steps, features, units = b.whole(1, 4), b.whole(1, 3), b.whole(1, 3)
    width = (3 if name.startswith("gru") else 4) * units
    types, data = weights(b, features, width, bias=width)
    more_types, more_data = weights(b, units, width, name="recurrent_weight", bias=width)
    types |= {name.replace("bias", "recurrent_bias"): chosen for name, chosen in more_types.items()}
    data |= {name.replace("bias", "recurrent_bias"): numbers for name, numbers in more_data.items()}
    tables = {"table_t": b.type((4, 18), (1, 4)), "table_size": b.pick(1024, 256, 100), "static": b.pick(True, False)}
    accumulator = b.type((4, 18), (1, 6), signed=b.pick(True, True, False))
    types |= {"accum": b.integer_or(accumulator), "result": b.integer_or(b.type((3, 12), (0, 4)))}
    if name.endswith("torch"):
        data["pytorch"] = True
    b.layer(
        name.split("_")[0].upper(), [b.input(steps, features)], types, tables,
        n_timesteps=steps, n_in=features, n_out=units, return_sequences=b.pick(True, False), return_state=False,
        activation=b.pick("tanh", "tanh", "relu", "sigmoid"), recurrent_activation=b.pick("sigmoid", "sigmoid", "relu"),
        **data,
    )  # fmt: skip


@kind("embedding")
def embedding(b: Branch) -> None:
    bits, n_in, n_out = b.whole(1, 4), b.whole(1, 4), b.whole(1, 3)
    source = b.input(n_in, kind=FixedPoint(False, bits, bits, "TRN_ZERO"))
    types, data = weights(b, 1 << bits, n_out, name="embeddings")
    b.layer(
        "Embedding",
        [source],
        types | {"result": b.type((3, 12), (0, 6))},
        n_in=n_in,
        n_out=n_out,
        vocab_size=1 << bits,
        **data,
    )


@kind("unary_lut")
def unary_lut(b: Branch) -> None:
    source = b.type((2, 6), (-1, 5))
    table = b.type((4, 12), (0, 4))
    data = b.numbers(table, 1 << source.width)
    name = b.input(5, kind=source)
    types = {"result": b.type((3, 12), (0, 6)), "table": table}
    b.layer("UnaryLUT", [name], types, {"table_t": table}, table_data=data, n_in=5, activation="unary_lut")


@kind("quantiser", "quantiser_narrow")
def quantiser(b: Branch, name: str) -> None:
    shape = b.pick((5,), (2, 3))
    keep, bits, integer = (b.rng.integers(low, high, (1, *shape)) for low, high in ((0, 2), (0, 7), (-1, 4)))
    bits = np.where(bits > 0, np.maximum(bits, keep + 1), 0)
    result = b.type((3, 6), (0, 3)) if name.endswith("narrow") else FixedPoint(True, 16, 6)
    b.layer(
        "FixedPointQuantizer", [b.input(*shape)], {"result": result}, overrides={}, fusible=False,
        RND=b.pick("TRN", "RND", "RND_CONV"), SAT=b.pick("WRAP", "SAT", "SAT_SYM"), mask_kbi=(keep, bits, integer),
    )  # fmt: skip
