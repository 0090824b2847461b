"""Seconds of a step, and the process's peak, of the same networks elsewhere, as JSON.

    python bench/network-peers.py geometric-rgcn|pykeen-compgcn FILE WIDTH LAYERS [STEPS]

FILE has triples, names separated by tabs. A step is a forward pass over the whole graph, the way back
from the mean of all rows, and Adam, on two threads; no score function is in it. The layers are those of
PyTorch Geometric (RGCNConv, five bases) and of PyKEEN (CompGCN, its defaults), as PyPI has them.
"""

import json
import pathlib
import resource
import sys
import time

import torch

torch.set_num_threads(2)


def read(path):
    names, relations, rows = {}, {}, []
    for line in path.read_text().splitlines():
        head, relation, tail = line.split("\t")[:3]
        number = lambda table, name: table.setdefault(name, len(table))
        rows.append((number(names, head), number(relations, relation), number(names, tail)))
    return torch.tensor(rows), len(names), len(relations)


def geometric(path, width, layers):
    from torch_geometric import __version__
    from torch_geometric.nn import RGCNConv

    rows, n, n_relations = read(path)
    head, relation, tail = rows.T
    edges = torch.stack([torch.cat([head, tail]), torch.cat([tail, head])])
    labels = torch.cat([relation, relation + n_relations])
    table = torch.nn.Parameter(torch.randn(n, width))
    stack = torch.nn.ModuleList(RGCNConv(width, width, 2 * n_relations, num_bases=5) for _ in range(layers))

    def forward():
        h = table
        for number, layer in enumerate(stack):
            h = layer(h, edges, labels)
            h = torch.nn.functional.dropout(torch.relu(h), 0.1) if number + 1 < layers else h
        return h

    return f"torch_geometric {__version__}", [table, *stack.parameters()], forward


def pykeen(path, width, layers):
    from pykeen import get_version
    from pykeen.models import CompGCN
    from pykeen.triples import TriplesFactory

    factory = TriplesFactory.from_path(path, create_inverse_triples=True)
    dims = {"embedding_dim": width, "encoder_kwargs": {"num_layers": layers, "dims": [width] * layers}}
    model = CompGCN(triples_factory=factory, **dims)

    def forward():
        model.post_parameter_update()
        return model.entity_representations[0](None)

    return f"pykeen {get_version()}", list(model.parameters()), forward


def main():
    kind, path, width, layers, *rest = sys.argv[1:]
    build = {"geometric-rgcn": geometric, "pykeen-compgcn": pykeen}[kind]
    version, parameters, forward = build(pathlib.Path(path), int(width), int(layers))
    adam = torch.optim.Adam(parameters, lr=1e-4)
    times = []
    for _ in range(int(rest[0]) if rest else 3):
        began = time.perf_counter()
        adam.zero_grad()
        forward().mean(0).sum().backward()
        adam.step()
        times.append(time.perf_counter() - began)
    times = sorted(times[1:] or times)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"version": version, "seconds_a_step": times[len(times) // 2], "peak_bytes": peak}))


if __name__ == "__main__":
    main()
