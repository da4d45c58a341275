import pytest
import torch

from benchmarks import optimizers
from ndvq_tune.training.loop import Training
from ndvq_tune.training.optimizers import set_learning_rates
from tests.training.training_examples import config, dataset


@pytest.mark.filterwarnings("ignore:Learning rate changed")  # of heavyball, which is right all the same
@pytest.mark.parametrize("name", [name for name, contender in optimizers.CONTENDERS.items() if contender.make])
def test_each_optimizer_changes_all_weights_and_none_once_the_rate_is_zero(name: str) -> None:
    training = Training(config(optimizer={"type": "muon"}), dataset())
    optimizers.give(training, (name, 0.01))
    weights = list(training.model.parameters())

    def changed(share: float) -> list[bool]:
        before = [weight.detach().clone() for weight in weights]
        set_learning_rates(training.optimizers, share)
        for weight in weights:
            weight.grad = torch.ones_like(weight)
        for optimizer in training.optimizers:
            optimizer.step()
        return [not torch.equal(weight, old) for weight, old in zip(weights, before, strict=True)]

    changed(1.0)  # SOAP only looks at its first gradient
    assert all(changed(1.0))
    assert not any(changed(0.0))
