"""What the class of a model's first layer says about the model's input."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

from luxgen.frontends.input_spec import InputSpec


@dataclass(frozen=True)
class Guess:
    """A possible input, by dtype and dims; `batch` is a free dim by which rows are
    independent, the dims `sized` may be fixed by a later layer, to one size for all."""

    dtype: str
    shape: tuple[int | str, ...]
    sized: tuple[str, ...] = ()
    high: int | None = None

    def spec(self, name: str) -> InputSpec:
        """The guess as an input called `name`."""
        return InputSpec(name, self.dtype, self.shape, self.high)


def _features(size: int) -> list[Guess]:
    """Rows of features, or sequences of them."""
    return [
        Guess("float32", ("batch", size)),
        Guess("float32", ("batch", "length", size), ("length",)),
        Guess("float32", ("length", "batch", size), ("length",)),
    ]


def _linear(layer: Any) -> list[Guess]:
    return _features(layer.in_features)


def _convolution(layer: Any) -> list[Guess]:
    dims = {1: ("length",), 2: ("height", "width"), 3: ("depth", "height", "width")}
    spatial = dims[len(layer.kernel_size)]
    return [Guess("float32", ("batch", layer.in_channels, *spatial), spatial)]


def _embedding(layer: Any) -> list[Guess]:
    high = layer.num_embeddings
    return [
        Guess("int64", ("batch", "length"), ("length",), high),
        Guess("int64", ("length", "batch"), ("length",), high),
        Guess("int64", ("batch",), (), high),
    ]


def _recurrent(layer: Any) -> list[Guess]:
    dims = ("batch", "length") if layer.batch_first else ("length", "batch")
    return [Guess("float32", (*dims, layer.input_size), ("length",))]


def _cell(layer: Any) -> list[Guess]:
    return [Guess("float32", ("batch", layer.input_size))]


FIRST_LAYERS: dict[type[nn.Module], Callable[[Any], list[Guess]]] = {
    nn.Linear: _linear,
    nn.Conv1d: _convolution,
    nn.Conv2d: _convolution,
    nn.Conv3d: _convolution,
    nn.Embedding: _embedding,
    nn.RNN: _recurrent,
    nn.LSTM: _recurrent,
    nn.GRU: _recurrent,
    nn.RNNCell: _cell,
    nn.LSTMCell: _cell,
    nn.GRUCell: _cell,
}
