"""What ``torch_internals`` relies on. A test that fails after an upgrade of PyTorch says what to mend there.

That its numbers are those of real training is tested with ``predict``, in ``test_prediction``.
"""

import weakref
from typing import Any

import pytest
import torch
from torch.nn import functional as F  # noqa: N812
from torch.utils.flop_counter import flop_registry

from ndvq_tune.training import torch_internals
from ndvq_tune.training.torch_internals import CPU_ATTENTION_FLOPS, Ledger, pretended_autocast, pretended_device

aten = torch.ops.aten
FUSED_ON_A_CPU = aten._scaled_dot_product_flash_attention_for_cpu
FUSED_ON_A_GPU = aten._scaled_dot_product_efficient_attention
B, H, S, D = 2, 3, 5, 8


class Noting(Ledger):
    """Notes which operations there were, and where their first argument said that it was."""

    def __init__(self) -> None:
        super().__init__([])
        self.seen: list[tuple[Any, str]] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        device = args[0].device.type if args and isinstance(args[0], torch.Tensor) else ""
        self.seen.append((func.overloadpacket, device))
        return super().__torch_dispatch__(func, types, args, kwargs)

    @property
    def operations(self) -> set[Any]:
        return {operation for operation, _ in self.seen}


def attention(dropout: float = 0.0) -> torch.Tensor:
    query, key, value = (torch.ones(B, H, S, D, requires_grad=True) for _ in range(3))
    return F.scaled_dot_product_attention(query, key, value, dropout_p=dropout)


def test_tensors_with_one_memory_have_one_storage_that_goes_with_the_last_of_them():
    tensor = torch.empty(4)
    view = tensor[1:].detach()
    storage = weakref.ref(tensor.untyped_storage())
    assert view.untyped_storage() is storage(), "views no longer share a storage: Ledger would count them twice"
    del tensor
    assert storage() is not None, "a storage goes before its last tensor: Ledger would forget what is alive"
    del view
    assert storage() is None, "a storage outlives its tensors: Ledger would count what is gone"


def test_the_ledger_counts_what_is_alive_at_once():
    weight = torch.empty(8, device="meta")
    with pretended_device("cpu", [weight, weight[1:]]) as ledger:
        first = torch.empty(100)
        del first
        second = torch.empty(80)
        parts = second.split(40)  # a tuple of views
        assert len(parts) == 2
    assert ledger.peak == 4 * (8 + 100)


def test_tensors_say_that_they_are_on_the_pretended_device_but_not_to_pytorch_itself():
    noting = Noting()
    with pretended_device("cuda", []), noting:
        tensor = torch.empty(2, device="cuda")
        assert tensor.device.type == "cuda", "Tensor.device no longer asks a TorchFunctionMode: see _DEVICE"
        assert (tensor + 1).to_mkldnn().to_dense().shape == (2,)
    assert {device for _, device in noting.seen} <= {"", "meta"}, "PyTorch asks the pretended device where it computes"


def test_autocast_can_be_set_for_a_device_that_is_not_there():
    with pretended_device("cuda", []), pretended_autocast("cuda", enabled=True):
        product = torch.matmul(torch.empty(4, 3), torch.empty(3, 2))
        normalised = F.group_norm(product, 2)
    assert product.dtype == torch.bfloat16, "functions come under other names to a TorchFunctionMode: see _HALVED"
    assert normalised.dtype == torch.float32, "functions come under other names to a TorchFunctionMode: see _KEPT_WHOLE"
    assert not torch.is_autocast_enabled("cuda")


@pytest.mark.parametrize(("dropout", "fused"), [(0.0, True), (0.1, False)])
def test_a_cpu_fuses_attention_without_dropout(dropout, fused):
    real, pretended = Noting(), Noting()
    with real:
        attention(dropout).sum().backward()
    with pretended_device("cpu", []), pretended:
        attention(dropout).sum().backward()
    for found in (real, pretended):
        assert (FUSED_ON_A_CPU in found.operations) is fused, "a CPU computes attention another way: see _attention"
    assert real.flops == pretended.flops > 0


def test_a_gpu_fuses_attention_with_and_without_dropout():
    noting = Noting()
    with pretended_device("cuda", []), noting:
        result = attention(0.1)
        result.sum().backward()
    assert result.shape == (B, H, S, D)
    assert FUSED_ON_A_GPU in noting.operations, "attention of GPUs has another operation: see _attention"
    names = [argument.name for argument in FUSED_ON_A_GPU.default._schema.arguments]
    assert names[:6] == ["query", "key", "value", "attn_bias", "compute_log_sumexp", "dropout_p"]


def test_the_flops_of_attention_are_those_of_its_matrix_products():
    """Two forward; five backward, where the weights are computed once more."""
    product = 2 * B * H * S * S * D
    with Noting() as noting:
        result = attention()
        assert noting.flops == 2 * product
        result.sum().backward()
    assert noting.flops == (2 + 5) * product


def test_pytorchs_own_table_lacks_the_fused_attention_of_cpus():
    assert not CPU_ATTENTION_FLOPS.keys() & flop_registry.keys(), "CPU_ATTENTION_FLOPS is not needed any more"
    assert flop_registry.keys() <= torch_internals._FLOPS.keys(), "FlopCounterMode.flop_registry is not the whole table"


def tensors(*shapes: tuple[int, ...], **options: Any) -> list[torch.Tensor]:
    return [torch.ones(*shape, **options) for shape in shapes]


X, WEIGHT, GROUPS = (2, 4, 6), (4,), (2, 2)
ARGUMENTS: dict[Any, list[Any]] = {
    aten.add.Tensor: tensors(X, X),
    aten.sub.Tensor: tensors(X, X),
    aten.mul.Tensor: tensors(X, X),
    aten.div.Tensor: tensors(X, X),
    aten.pow.Tensor_Scalar: [*tensors(X), 2],
    aten.native_group_norm.default: [*tensors(X, WEIGHT, WEIGHT), 2, 4, 6, 2, 1e-5],
    aten.native_group_norm_backward.default: [*tensors(X, X, GROUPS, GROUPS, WEIGHT), 2, 4, 6, 2, [True] * 3],
    aten.silu_backward.default: tensors(X, X),
}


@pytest.mark.parametrize("operation", torch_internals._SHAPES, ids=str)
def test_shapes_that_are_known_without_computing_are_those_of_the_operation(operation):
    found, expected = (
        result if isinstance(result, tuple) else (result,)
        for result in (function(*ARGUMENTS[operation]) for function in (torch_internals._SHAPES[operation], operation))
    )
    kinds = [[(one.shape, one.stride(), one.dtype) for one in results] for results in (found, expected)]
    assert kinds[0] == kinds[1], f"{operation} has other results than _SHAPES says"


@pytest.mark.parametrize("operation", [aten.add.Tensor, aten.div.Tensor], ids=str)
@pytest.mark.parametrize(
    "arguments",
    [tensors((2, 1), (3,)), [torch.ones(2, 3), torch.ones(3, 2).t()], [torch.ones(3), torch.ones(3).double()],
     [torch.ones(3, dtype=torch.int64), 2]],
    ids=["broadcast", "layouts", "types", "whole numbers"],
)  # fmt: skip
def test_numbers_that_are_not_side_by_side_are_left_to_the_operation(operation, arguments):
    found, expected = torch_internals._SHAPES[operation](*arguments), operation(*arguments)
    assert (found.shape, found.stride(), found.dtype) == (expected.shape, expected.stride(), expected.dtype)
