"""The keys and the 64-bit flow hash that dataplane/lb/flow_hash.h defines, and the choice of a table's slot."""

import ipaddress

from aes_round import aes_round, xor
from siphash import siphash24


class HashKeys:
    """All keys that derive from the cluster's 16-byte seed."""

    def __init__(self, seed):
        self.seed = bytes(seed)
        flow = b"".join(self._word(f"sluice flow {i}") for i in range(4))
        self.flow = (flow[:16], flow[16:])
        self.maglev_offset = self._word("sluice maglev offset 0") + self._word("sluice maglev offset 1")
        self.maglev_skip = self._word("sluice maglev skip 0") + self._word("sluice maglev skip 1")

    def _word(self, label):
        return siphash24(self.seed, label.encode()).to_bytes(8, "little")


def flow_hash(keys, source, destination, source_port, destination_port, protocol):
    """The flow hash; addresses as text, ports and protocol as numbers."""
    k0, k1 = keys.flow
    src = ipaddress.ip_address(source).packed
    dst = ipaddress.ip_address(destination).packed
    ports = source_port.to_bytes(2, "big") + destination_port.to_bytes(2, "big")
    if len(src) == 4:
        s = xor(src + dst + ports + bytes([protocol, 0, 0, 0]), k0)
    else:
        s = xor(src, k0)
        for block in (dst, ports + bytes([protocol]) + bytes(11)):
            s = xor(aes_round(aes_round(s, k1), k0), block)
    for key in (k1, k0, k1, k0):
        s = aes_round(s, key)
    return int.from_bytes(s[:8], "little")


def slot_of(hash_value, slot_count):
    """The slot of a table for a hash: its upper 32 bits as a fraction of the table."""
    return ((hash_value >> 32) * slot_count) >> 32
