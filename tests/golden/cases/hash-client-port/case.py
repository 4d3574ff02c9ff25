"""hash: client-port. Connections from the same address and port of a client, over the VIPs of the pool with this
setting, their ports and protocols, go to the backend that the hash of these two alone points to."""

import affinity


def build(case):
    affinity.build(case, "client-port", port_counts=True)
