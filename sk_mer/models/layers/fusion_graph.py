"""The Dynamic Fusion Graph: a vertex for every set of modalities, weighted edges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...host_lengths import longest
from .sequence_lstm import SequenceLSTM

__all__ = ["DynamicFusionGraph", "GraphEncoder", "fusion_edges"]

# Sets of modalities double with each, and edges triple.
_MAX_MODALITIES = 6
Vertex = tuple[str, ...]


def _vertices(names: Sequence[str]) -> list[Vertex]:
    """Sets of modalities that are not empty, the small ones first."""
    if len(names) > _MAX_MODALITIES:
        raise ValueError(
            f"{len(names)} modalities were given; a graph with a vertex for every set of "
            f"them can have {_MAX_MODALITIES}, so leave some out (modalities=[...])."
        )
    sizes = range(1, len(names) + 1)
    return [subset for size in sizes for subset in combinations(names, size)]


def fusion_edges(names: Sequence[str]) -> list[tuple[Vertex, Vertex | None]]:
    """The edges of the graph in the order of their efficacies.

    Parameters
    ----------
    names : sequence of str
        Modalities.

    Returns
    -------
    list of tuple
        Which vertex enters which; None is the output, which all vertices enter. A
        vertex of several modalities is entered by those of its proper subsets.

    Examples
    --------
    >>> from sk_mer.models.layers.fusion_graph import fusion_edges
    >>> len(fusion_edges(["text", "audio", "vision"]))
    19
    """
    vertices = _vertices(names)
    edges: list[tuple[Vertex, Vertex | None]] = []
    for vertex in vertices:
        edges += [(child, vertex) for child in vertices if set(child) < set(vertex)]
    return [*edges, *((vertex, None) for vertex in vertices)]


class DynamicFusionGraph(nn.Module):
    """Joins modalities over all sets of them; a network weighs each edge anew.

    Parameters
    ----------
    n_features : mapping of str to int
        Size of a state by modality.
    graph_size : int
        Size of a vertex of several modalities, of the output, and of the middle of the
        network of the efficacies.
    hidden_size : int, default=100
        Size between the two linear layers of every network.
    efficacy_activation : {"sigmoid", None}, default=None
        Of the efficacies.

    Examples
    --------
    >>> import torch
    >>> from sk_mer.models.layers.fusion_graph import DynamicFusionGraph
    >>> graph = DynamicFusionGraph({"text": 4, "audio": 3}, 5)
    >>> output, efficacies = graph([torch.ones(2, 4), torch.ones(2, 3)])
    >>> output.shape, efficacies.shape
    (torch.Size([2, 5]), torch.Size([2, 5]))
    """

    def __init__(
        self,
        n_features: Mapping[str, int],
        graph_size: int,
        hidden_size: int = 100,
        efficacy_activation: str | None = None,
    ) -> None:
        super().__init__()
        self.vertices = _vertices(list(n_features))
        edges = fusion_edges(list(n_features))
        sizes = {v: n_features[v[0]] if len(v) == 1 else graph_size for v in self.vertices}

        def network(n_inputs: int) -> nn.Sequential:
            return nn.Sequential(
                nn.Linear(n_inputs, hidden_size), nn.Linear(hidden_size, graph_size)
            )

        # As a ModuleList they are trained, saved and moved; in a dict they would not be.
        self.networks = nn.ModuleList(
            network(sum(sizes[child] for child, entered in edges if entered == vertex))
            for vertex in self.vertices[len(n_features) :]
        )
        self.output = network(sum(sizes.values()))
        self.efficacy = nn.Sequential(
            *network(sum(n_features.values())), nn.Linear(graph_size, len(edges))
        )
        self.activation = nn.Sigmoid() if efficacy_activation else nn.Identity()
        place = {vertex: i for i, vertex in enumerate(self.vertices)}
        self.entering = [
            [place[child] for child, entered in edges if entered == vertex]
            for vertex in [*self.vertices[len(n_features) :], None]
        ]

    def forward(self, states: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """The output and the efficacies.

        Parameters
        ----------
        states : sequence of Tensor of shape (..., n_features)
            One for each modality.

        Returns
        -------
        output : Tensor of shape (..., graph_size)
        efficacies : Tensor of shape (..., n_edges)
            In the order of :func:`fusion_edges`.
        """
        efficacies: Tensor = self.activation(self.efficacy(torch.cat(list(states), dim=-1)))
        shares = efficacies.unsqueeze(-1).unbind(dim=-2)
        values, first = list(states), 0
        for i, children in enumerate(self.entering):
            used = zip(children, shares[first : first + len(children)], strict=True)
            scaled = torch.cat([values[child] * share for child, share in used], dim=-1)
            is_output = i == len(self.networks)
            values.append((self.output if is_output else self.networks[i])(scaled))
            first += len(children)
        return values[-1], efficacies


class GraphEncoder(nn.Module):
    """An LSTM a modality, whose states at a step and the one before enter the graph.

    No state of an LSTM depends on what the graph gives, so that all steps are computed at
    once.

    Parameters
    ----------
    n_features, hidden_sizes : mapping of str to int
        Feature size and hidden size by modality.
    graph_size : int
        Size of the output of the graph.
    efficacy_activation : {"sigmoid", None}, default=None
        Of the efficacies.
    """

    def __init__(
        self,
        n_features: Mapping[str, int],
        hidden_sizes: Mapping[str, int],
        graph_size: int,
        efficacy_activation: str | None = None,
    ) -> None:
        super().__init__()
        sizes = {name: hidden_sizes[name] for name in n_features}
        self.names, self.out_features = tuple(n_features), sum(sizes.values())
        self.lstms = nn.ModuleList(
            SequenceLSTM(n_features[name], size, bidirectional=False)
            for name, size in sizes.items()
        )
        self.singletons = nn.ModuleList(nn.Linear(2 * n, n) for n in sizes.values())
        self.graph = DynamicFusionGraph(
            sizes, graph_size, efficacy_activation=efficacy_activation
        )

    def forward(
        self, sequences: Mapping[str, Tensor], lengths: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Read a batch of aligned modalities.

        Parameters
        ----------
        sequences : mapping of str to Tensor of shape (n, n_steps, n_features)
            Right-padded.
        lengths : Tensor of shape (n,)
            Valid steps, at least one.

        Returns
        -------
        last : Tensor of shape (n, out_features)
            The last states of all LSTMs side by side.
        fused : Tensor of shape (n, max(lengths), graph_size)
            Output of the graph at each step.
        efficacies : Tensor of shape (n, max(lengths), n_edges)
        """
        n_steps = longest(lengths)
        rows = torch.arange(len(lengths), device=lengths.device)
        last, vertices = [], []
        for name, lstm, linear in zip(self.names, self.lstms, self.singletons, strict=True):
            states = lstm(sequences[name][:, :n_steps], lengths)
            before = functional.pad(states, (0, 0, 1, 0))[:, :-1]
            vertices.append(linear(torch.cat([before, states], dim=2)).relu())
            last.append(states[rows, lengths - 1])
        return torch.cat(last, dim=1), *self.graph(vertices)
