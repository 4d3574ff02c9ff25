"""Maglev's table with weights (Eisenbud et al., NSDI 2016, section 3.4), as dataplane/lb/maglev.h defines it."""

import functools

from siphash import siphash24


def permutation(keys, name, table_size):
    """(offset, skip) of a backend's preference list."""
    data = name.encode()
    return (
        siphash24(keys.maglev_offset, data) % table_size,
        siphash24(keys.maglev_skip, data) % (table_size - 1) + 1,
    )


def fill(permutations, weights, table_size, heirs=None):
    """The table as a list of indexes of members. Naive: preference(j) is computed from j each time, as in the paper.
    `heirs`, a list of as many None: gets for each slot the other member that first came to it in vain."""
    count = len(permutations)
    slots = [None] * table_size
    if not count:
        return []
    following = [0] * count
    credit = [0] * count
    heaviest = max(weights)
    filled = 0
    while filled < table_size:
        for member, (offset, skip) in enumerate(permutations):
            credit[member] += weights[member]
            if credit[member] < heaviest or filled == table_size:
                continue
            credit[member] -= heaviest
            while slots[(offset + following[member] * skip) % table_size] is not None:
                if heirs:
                    note_heir(slots, heirs, (offset + following[member] * skip) % table_size, member)
                following[member] += 1
            slots[(offset + following[member] * skip) % table_size] = member
            filled += 1
    # To some slots nobody has come: all go on, a step each in turn.
    while heirs and count > 1 and None in heirs:
        for member, (offset, skip) in enumerate(permutations):
            following[member] += 1
            note_heir(slots, heirs, (offset + following[member] * skip) % table_size, member)
    return slots


def note_heir(slots, heirs, slot, member):
    if heirs[slot] is None and slots[slot] != member:
        heirs[slot] = member


def table(keys, weights_by_name, table_size, heirs=None):
    """Slot -> name for backends given as {name: weight}; those of weight 0 take no part. `heirs`: as of fill."""
    names = sorted((n for n, weight in weights_by_name.items() if weight > 0), key=str.encode)
    permutations = tuple(permutation(keys, name, table_size) for name in names)
    slots, found = filled(permutations, tuple(weights_by_name[name] for name in names), table_size, bool(heirs))
    if heirs:
        heirs[:] = [None if member is None else names[member] for member in found]
    return [names[member] for member in slots]


@functools.lru_cache
def filled(permutations, weights, table_size, with_heirs):
    """(slots, heirs) of `fill`. Cases ask for the same table again and again."""
    heirs = [None] * table_size if with_heirs else None
    return fill(permutations, weights, table_size, heirs), heirs
