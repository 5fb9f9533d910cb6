"""A network of one layer of attention, as people write them: it reads two symbols and answers with one."""

import torch
from torch import nn

from grokbook import checks


class Attention(nn.Module):
    """Two symbols and a mark that asks, one layer of attention and one of GELU units, read off behind the mark.

    p: symbols; width: of the stream; heads: of attention; d_hidden: GELU units. No normalisation and no dropout. The
    start is that of PyTorch's layers, from its own random numbers. forward takes pairs: (n, 2) of whole numbers in
    0..p-1 and returns (n, p).
    """

    def __init__(self, p, width=32, heads=4, d_hidden=128):
        super().__init__()
        self.ask = checks.whole("p", p, 2)
        self.symbols = nn.Embedding(p + 1, width)
        self.places = nn.Parameter(torch.randn(3, width) / width**0.5)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.units = nn.Sequential(nn.Linear(width, d_hidden), nn.GELU(), nn.Linear(d_hidden, width))
        self.readout = nn.Linear(width, p)

    def forward(self, pairs):
        """The output for each symbol. pairs: (n, 2), whole -> (n, p)."""
        stream = self.symbols(nn.functional.pad(pairs, (0, 1), value=self.ask)) + self.places
        stream = stream + self.attention(stream, stream, stream, need_weights=False)[0]
        last = stream[:, -1]
        return self.readout(last + self.units(last))
