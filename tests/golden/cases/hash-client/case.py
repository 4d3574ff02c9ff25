"""hash: client. All connections of a client, over the VIPs of the pool with this setting, their ports and protocols,
go to the backend that the hash of its address alone points to; a connection in the table is found by all five
fields."""

import affinity


def build(case):
    affinity.build(case, "client", port_counts=False)
