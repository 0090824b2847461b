"""Bytes that PyTorch's autograd keeps between the ways for the plain GCN of two layers, as JSON.

    python bench/autograd.py DATA        DATA has edges.tsv, labels.tsv, features.tsv, split.tsv

Counted by saved-tensor hooks, each storage once; parameters, features and neighbours, which are inputs,
are left out, as they are on our side. Dropout's masks are inside, as ours would be.
"""

import json
import pathlib
import sys

import torch

data = pathlib.Path(sys.argv[1])


def rows(name):
    return [line.split("\t") for line in (data / name).read_text().splitlines()]


labels, features, edges = rows("labels.tsv"), rows("features.tsv"), rows("edges.tsv")
n = 1 + max(int(x) for row in edges for x in row[:2])
n_features = 1 + max(int(row[1]) for row in features)
classes = sorted({row[1] for row in labels})
place = torch.tensor([[int(row[0]), int(row[1])] for row in features]).T
inputs = torch.sparse_coo_tensor(place, [float(row[2]) for row in features], (n, n_features)).coalesce()
pairs = {(int(a), int(b)) for a, b, *_ in edges} | {(int(b), int(a)) for a, b, *_ in edges}
pairs |= {(i, i) for i in range(n)}
place = torch.tensor(sorted(pairs)).T
degree = torch.bincount(place[0], minlength=n).float()
near = torch.sparse_coo_tensor(place, (degree[place[0]] * degree[place[1]]).rsqrt(), (n, n)).coalesce()

first = torch.nn.Parameter(torch.randn(n_features, 16) * 0.05)
second = torch.nn.Parameter(torch.randn(16, len(classes)) * 0.3)
biases = [torch.nn.Parameter(torch.zeros(width)) for width in (16, len(classes))]
outside = {t.untyped_storage().data_ptr() for t in (first, second, *biases)}
for matrix in (inputs, near):
    outside |= {matrix.indices().untyped_storage().data_ptr(), matrix.values().untyped_storage().data_ptr()}
kept = {}


def keep(tensor):
    parts = [tensor] if tensor.layout == torch.strided else [tensor._indices(), tensor._values()]
    for part in parts:
        storage = part.untyped_storage()
        if storage.data_ptr() not in outside:
            kept[storage.data_ptr()] = storage.nbytes()
    return tensor


drop = torch.nn.functional.dropout
with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
    values = drop(inputs.values(), 0.5)
    dropped = torch.sparse_coo_tensor(inputs.indices(), values, inputs.shape)
    hidden = torch.relu(torch.sparse.mm(near, torch.sparse.mm(dropped, first)) + biases[0])
    scores = torch.sparse.mm(near, drop(hidden, 0.5) @ second) + biases[1]
print(json.dumps({"torch": torch.__version__, "bytes": sum(kept.values())}))
