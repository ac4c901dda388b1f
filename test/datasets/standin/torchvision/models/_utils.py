"""Takes the output of inner layers of a network."""

from __future__ import annotations

from torch import Tensor, nn


class IntermediateLayerGetter(nn.ModuleDict):
    """The layers of a network up to the last wanted one.

    Args:
        model: whose children run one after another.
        return_layers: the name under which to return a layer's output, by the layer's name.
    """

    def __init__(self, model: nn.Module, return_layers: dict[str, str]) -> None:
        names = [name for name, _ in model.named_children()]
        last = max(map(names.index, return_layers))
        super().__init__({name: getattr(model, name) for name in names[: last + 1]})
        self.return_layers = return_layers

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        found = {}
        for name, layer in self.items():
            x = layer(x)
            if name in self.return_layers:
                found[self.return_layers[name]] = x
        return found
