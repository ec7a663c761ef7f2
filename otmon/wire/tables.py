"""Exact hash tables: open addressing over rows whose first words are the key. Whole keys are compared, always."""

from typing import Any

from otmon.wire.columns import S_LONG
from otmon.wire.far import far
from otmon.wire.loads import jit, mix


@jit
def hash2(seed: int, k0: int, k1: int) -> int:
    """Seeded hash of two words."""
    h = mix(mix(seed, k0), k1)
    return h ^ (h >> 29)


@jit
def find2(rows: Any, index: Any, seed: int, k0: int, k1: int) -> int:
    """Row with the key (k0, k1), or -1 - s where s is the free place in the index."""
    mask = len(index) - 1
    s = hash2(seed, k0, k1) & mask
    while True:
        row = int(index[s])  # of 32 bits, in which interpreted code would go on counting
        if row == 0:
            return -1 - s
        if rows[row - 1, 0] == k0 and rows[row - 1, 1] == k1:
            return row - 1
        s = (s + 1) & mask


@jit
def find3(rows: Any, index: Any, seed: int, k0: int, k1: int, k2: int) -> int:
    """As find2, with three words."""
    mask = len(index) - 1
    s = hash2(mix(seed, k2), k0, k1) & mask
    while True:
        row = int(index[s])  # of 32 bits, in which interpreted code would go on counting
        if row == 0:
            return -1 - s
        if rows[row - 1, 0] == k0 and rows[row - 1, 1] == k1 and rows[row - 1, 2] == k2:
            return row - 1
        s = (s + 1) & mask


@jit
def hash_shape(seed: int, k0: int, k1: int, k2: int, k3: int) -> int:
    """Seeded hash of a shape's key; of a long one the last word is its place in the arena, which is no part of it."""
    return hash2(mix(mix(seed, k2), 0 if k0 & S_LONG else k3), k0, k1)


@jit
def rehash(rows: Any, used: int, index: Any, seed: int, words: int) -> None:
    """Fill an empty index (a power of two of places) for the first `used` rows, whose keys are `words` words long."""
    mask = len(index) - 1
    for row in range(used):
        if words == 2:
            h = hash2(seed, rows[row, 0], rows[row, 1])
        elif words == 3:
            h = hash2(mix(seed, rows[row, 2]), rows[row, 0], rows[row, 1])
        else:
            h = hash_shape(seed, rows[row, 0], rows[row, 1], rows[row, 2], rows[row, 3])
        s = h & mask
        while index[s] != 0:
            s = (s + 1) & mask
        index[s] = row + 1


far_rehash = far("rehash", "v(rihii)", rehash)
