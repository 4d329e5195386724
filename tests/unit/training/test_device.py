"""A step of training has all its tensors on the device of its stack.

There is no GPU in the tests: torch's device `meta`, which computes shapes only, stands for it.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from fakes.families import CLIP, FAMILIES, inputs
from properties.test_stacks import of_one_structure
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

from evonas.config import resolve
from evonas.errors import ConfigurationError
from evonas.models.stacked_network import StackedNetwork
from evonas.study.device import check_device
from evonas.training.adam import StackedAdam
from evonas.training.recipe import losses


class OneDevice(TorchDispatchMode):
    """Refuses an operation on tensors of several devices, as CUDA does; single numbers and indices may be elsewhere."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        indexed = func.overloadpacket in (torch.ops.aten.index, torch.ops.aten.index_put_)
        checked = (args[0], args[2:]) if indexed else (args, kwargs)
        tensors = [a for a in tree_flatten(checked)[0] if isinstance(a, torch.Tensor) and a.dim()]
        assert len({tensor.device.type for tensor in tensors}) <= 1, func
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("family", ["mlp", *FAMILIES])
def test_a_step_stays_on_its_device(family):
    phenotypes = of_one_structure(family, 11, wanted=2)
    specs = [p.spec for p in phenotypes]
    x = inputs(specs[0], 32, np.random.default_rng(0))
    generators = [torch.Generator().manual_seed(n) for n in range(len(specs))]
    stack = StackedNetwork(specs, CLIP, generators, [p.norm == "batch" for p in phenotypes]).to("meta")
    rates = torch.full((len(specs),), 0.01, device="meta")
    optimiser = StackedAdam(dict(stack.named_parameters()), rates, rates)
    rows = torch.zeros(len(specs), *x.shape, device="meta")
    classes = torch.zeros(len(specs), len(x), dtype=torch.long, device="meta")
    with OneDevice():
        outputs = stack(stack.quantise_input(rows))
        losses(outputs, classes).sum().backward()
        assert all(p.grad.device.type == "meta" for p in stack.parameters())
        optimiser.step(0.5)
        stack.prune(0.5)
    assert outputs.device.type == "meta"
    assert {moment.device.type for pair in optimiser.moments().values() for moment in pair} == {"meta"}


def test_a_device_that_is_not_here_is_named():
    check_device(resolve({}))
    if not torch.cuda.is_available():
        with pytest.raises(ConfigurationError, match="no GPU that torch can use") as caught:
            check_device(resolve({}, ("execution.device=cuda",)))
        assert caught.value.field == "execution.device"
