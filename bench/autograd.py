"""Bytes that PyTorch's autograd keeps between the ways for plain networks, as JSON.

    python bench/autograd.py classes DATA                 Cora's folder: edges, labels, features, split (.tsv)
    python bench/autograd.py triples FILE WIDTH LAYERS    a file of triples, names separated by tabs

Counted by saved-tensor hooks, each storage once; parameters, tables, features and neighbours, which are
inputs, are left out, as they are on our side. Dropout's masks are inside, as ours would be. A plain network
is the formula as PyTorch is written: sums that only weigh neighbours are sparse products; elsewhere a row is
gathered for each edge, made a message, and added to its end. Where PyTorch Geometric is installed its layer stands beside, if it has one.
"""

import json
import pathlib
import sys

import torch

F = torch.nn.functional
KEPT, OUTSIDE = {}, set()


def inputs(*tensors):
    for tensor in tensors:
        for part in [tensor] if tensor.layout == torch.strided else [tensor._indices(), tensor._values()]:
            OUTSIDE.add(part.untyped_storage().data_ptr())


def keep(tensor):
    for part in [tensor] if tensor.layout == torch.strided else [tensor._indices(), tensor._values()]:
        storage = part.untyped_storage()
        if storage.data_ptr() not in OUTSIDE:
            KEPT[storage.data_ptr()] = (storage, storage.nbytes())
    # An output that keeps itself would be a cycle, and never be freed.
    return tensor.detach()


def kept_by(forward):
    """Bytes; storages are held until the end, so that none is counted as another."""
    KEPT.clear()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        out = forward()
    total = sum(nbytes for _, nbytes in KEPT.values())
    KEPT.clear()
    del out
    return total


def classes(data):
    rows = lambda name: [line.split("\t") for line in (data / name).read_text().splitlines()]
    labels, features, edges = rows("labels.tsv"), rows("features.tsv"), rows("edges.tsv")
    n = 1 + max(int(x) for row in edges for x in row[:2])
    n_features = 1 + max(int(row[1]) for row in features)
    n_classes = len({row[1] for row in labels})
    place = torch.tensor([[int(row[0]), int(row[1])] for row in features]).T
    given = torch.sparse_coo_tensor(place, [float(row[2]) for row in features], (n, n_features)).coalesce()
    pairs = {(int(a), int(b)) for a, b, *_ in edges} | {(int(b), int(a)) for a, b, *_ in edges}
    pairs |= {(i, i) for i in range(n)}
    place = torch.tensor(sorted(pairs)).T
    degree = torch.bincount(place[0], minlength=n).float()
    near = torch.sparse_coo_tensor(place, (degree[place[0]] * degree[place[1]]).rsqrt(), (n, n)).coalesce()
    first = torch.nn.Parameter(torch.randn(n_features, 16) * 0.05)
    second = torch.nn.Parameter(torch.randn(16, n_classes) * 0.3)
    biases = [torch.nn.Parameter(torch.zeros(width)) for width in (16, n_classes)]
    inputs(first, second, *biases, given, near)

    def forward():
        values = F.dropout(given.values(), 0.5)
        dropped = torch.sparse_coo_tensor(given.indices(), values, given.shape)
        hidden = torch.relu(torch.sparse.mm(near, torch.sparse.mm(dropped, first)) + biases[0])
        return torch.sparse.mm(near, F.dropout(hidden, 0.5) @ second) + biases[1]

    return {"gcn": {"plain": kept_by(forward)}}


class Graph:
    """Entries of both directions: target, source, label (inverse + R), as indices."""

    def __init__(self, path):
        names, relations, rows = {}, {}, []
        for line in path.read_text().splitlines():
            head, relation, tail = line.split("\t")[:3]
            number = lambda table, name: table.setdefault(name, len(table))
            rows.append((number(names, head), number(relations, relation), number(names, tail)))
        rows = torch.tensor(rows)
        head, relation, tail = rows.T.contiguous()
        self.n, self.n_relations = len(names), len(relations)
        self.target, self.source = torch.cat([tail, head]), torch.cat([head, tail])
        self.label = torch.cat([relation, relation + self.n_relations])
        self.degree = torch.bincount(self.target, minlength=self.n).float()
        self.inward = torch.arange(len(self.target)) < len(rows)
        of_kind = self.target * (2 * self.n_relations) + self.label
        self.of_kind = 1 / torch.bincount(of_kind)[of_kind].float()
        self.mean = 1 / self.degree[self.target]
        self.near = (self.degree[self.target] * self.degree[self.source]).rsqrt()
        place = torch.stack([self.target, self.source])
        matrix = lambda values: torch.sparse_coo_tensor(place, values, (self.n, self.n)).coalesce()
        self.near_matrix, self.mean_matrix = matrix(self.near), matrix(self.mean)
        inputs(self.near_matrix, self.mean_matrix)
        inputs(self.target, self.source, self.label, self.degree, self.of_kind, self.mean, self.near, self.inward)

    def add(self, messages, to=None):
        out = torch.zeros(self.n, messages.shape[1])
        return out.index_add(0, self.target if to is None else to, messages)


def plain(graph, width, layers):
    """For each network a function from rows to rows, in message form."""
    made = []

    def parameter(*shape):
        one = torch.nn.Parameter(torch.randn(*shape) / shape[-1] ** 0.5)
        inputs(one)
        made.append(one)
        return one

    n_labels = 2 * graph.n_relations + 1
    matrix = lambda k=width: parameter(k, width)
    table, relations = parameter(graph.n, width), parameter(n_labels, width)
    gathered = lambda h: h[graph.source]

    def gcn(w=None):
        w = matrix()
        return lambda h: torch.sparse.mm(graph.near_matrix, h @ w) + h @ w

    def sage():
        w, v = matrix(), matrix()
        return lambda h: h @ w + torch.sparse.mm(graph.mean_matrix, h) @ v

    def gat():
        w, a, c = matrix(), parameter(width, 1), parameter(width, 1)

        def layer(h):
            x = h @ w
            logit = F.leaky_relu((x @ a)[graph.source] + (x @ c)[graph.target], 0.2)
            weight = softmax(logit)
            return graph.add(weight * gathered(x))

        return layer

    def softmax(logit):
        # Shifted by the largest of all: one tensor less than a maximum for each target.
        raised = torch.exp(logit - logit.max().detach())
        return raised / graph.add(raised)[graph.target]

    def rgcn():
        w, shares, bases = matrix(), parameter(n_labels, 5), parameter(5, width * width)

        def layer(h):
            # The message form: h·V_b for each base, gathered and mixed by the label's shares.
            mixed = 0
            for b in range(5):
                product = h @ bases[b].view(width, width)
                mixed = mixed + shares[graph.label, b, None] * gathered(product)
            return h @ w + graph.add(graph.of_kind[:, None] * mixed)

        return layer

    def rgat():
        w, p, q = matrix(), parameter(n_labels, width), parameter(n_labels, width)

        def layer(h):
            x = h @ w
            source, target = gathered(x), x[graph.target]
            logit = (source * p[graph.label]).sum(1) + (target * q[graph.label]).sum(1)
            return graph.add(softmax(F.leaky_relu(logit, 0.2)[:, None]) * source)

        return layer

    def compgcn(compose):
        ws = [matrix() for _ in range(3)]

        def layer(h):
            out = compose(h, relations[-1].expand_as(h)) @ ws[2]
            for side, w in zip((graph.inward, ~graph.inward), ws):
                source, label, target = graph.source[side], graph.label[side], graph.target[side]
                inputs(source, label, target)
                message = graph.near[side, None] * compose(h[source], relations[label])
                out = out + graph.add(message @ w, target)
            return out / 3

        return layer

    correlate = lambda h, z: torch.fft.irfft(torch.fft.rfft(h).conj() * torch.fft.rfft(z), n=width)

    def bi_interaction():
        w, v, b, c = matrix(), matrix(), parameter(width), parameter(width)

        def layer(h):
            s = torch.sparse.mm(graph.mean_matrix, h)
            return F.leaky_relu((h + s) @ w + b, 0.2) + F.leaky_relu((h * s) @ v + c, 0.2)

        return layer

    def pna():
        own, w = matrix(), [matrix(4 * width) for _ in range(3)]
        s = torch.log(graph.degree + 1)
        s = (s / s.mean())[:, None]
        inputs(s)
        index = graph.target[:, None].expand(-1, width)
        inputs(index)

        def layer(h):
            message = gathered(h)
            mean = graph.add(graph.mean[:, None] * message)
            square = graph.add(graph.mean[:, None] * message * message)
            deviation = (torch.relu(square - mean * mean) + 1e-5).sqrt()
            zeros = torch.zeros(graph.n, width)
            most = zeros.scatter_reduce(0, index, message, "amax", include_self=False)
            least = zeros.scatter_reduce(0, index, message, "amin", include_self=False)
            f = torch.cat([mean, deviation, most, least], 1)
            return h @ own + f @ w[0] + s * (f @ w[1]) + (f @ w[2]) / s

        return layer

    networks = {
        "gcn": gcn, "sage": sage, "gat": gat, "rgcn": rgcn, "rgat": rgat,
        "compgcn-sub": lambda: compgcn(lambda h, z: h - z),
        "compgcn-mult": lambda: compgcn(lambda h, z: h * z),
        "compgcn": lambda: compgcn(correlate),
        "bi-interaction": bi_interaction, "pna": pna,
    }
    for name, build in networks.items():
        stack = [build() for _ in range(layers)]

        def forward(stack=stack):
            h = table
            for number, layer in enumerate(stack):
                h = layer(h)
                if number + 1 < len(stack):
                    h = F.dropout(torch.relu(h), 0.1)
            return h

        yield name, kept_by(forward)
        del stack


def geometric(graph, width, layers):
    """The same of PyTorch Geometric's layers, where it has them; its RGATConv makes a matrix for each edge,
    which is 87 GB for FB15k-237 at width 200, and is left out."""
    try:
        from torch_geometric import __version__, nn
    except ImportError:
        return None, {}
    edges, n_labels = torch.stack([graph.source, graph.target]), 2 * graph.n_relations
    delta = torch.bincount(graph.degree.long())
    networks = {
        "gcn": lambda: (nn.GCNConv(width, width), (edges,)),
        "sage": lambda: (nn.SAGEConv(width, width), (edges,)),
        "gat": lambda: (nn.GATConv(width, width), (edges,)),
        "rgcn": lambda: (nn.RGCNConv(width, width, n_labels, num_bases=5), (edges, graph.label)),
        "pna": lambda: (
            nn.PNAConv(width, width, ["mean", "std", "max", "min"], ["identity", "amplification", "attenuation"], delta),
            (edges,),
        ),
    }
    inputs(edges, delta)
    found = {}
    if layers > 2:
        # 5.6 GB a layer: more than a machine of 24 GB has for three of them.
        del networks["rgcn"]
    for name, build in networks.items():
        stack = [build() for _ in range(layers)]
        table = torch.nn.Parameter(torch.randn(graph.n, width))
        inputs(table, *(p for layer, _ in stack for p in layer.parameters()))

        def forward():
            h = table
            for number, (layer, rest) in enumerate(stack):
                h = layer(h, *rest)
                if number + 1 < layers:
                    h = F.dropout(torch.relu(h), 0.1)
            return h

        try:
            found[name] = kept_by(forward)
        except (RuntimeError, MemoryError) as error:
            print(f"{name}: {error}", file=sys.stderr)
    return __version__, found


def triples(path, width, layers):
    graph = Graph(path)
    found = {name: {"plain": total} for name, total in plain(graph, width, layers)}
    version, others = geometric(graph, width, layers)
    for name, total in others.items():
        found[name]["geometric"] = total
    return {"geometric": version, "networks": found}


if __name__ == "__main__":
    kind, place, *rest = sys.argv[1:]
    place = pathlib.Path(place)
    found = classes(place) if kind == "classes" else triples(place, *map(int, rest))
    print(json.dumps({"torch": torch.__version__, "found": found}))
