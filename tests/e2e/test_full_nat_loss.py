#!/usr/bin/python3
"""Full NAT with the PROXY protocol over a link that loses packets."""

import unittest

from lab_case import LabCase  # noqa: F401, makes `lab` importable
from nat_case import NatCase
from lab import config
from lab.clients.tools import Downloads, http_load
import test_full_nat


class LossTest(NatCase):
    MODE = "full-nat"

    def test_proxy_protocol_over_a_lossy_link(self):
        """Segments and acknowledgements are lost in both directions, the first ones among them: what is sent again has
        the header again, and the streams arrive whole."""
        self.start(test_full_nat.with_proxy_protocol({1: 100, 2: 100}), nat=test_full_nat.NAT)
        # Packets of all kinds in turn, on the client's link, both ways: a random choice would now and then take a
        # client's SYN so often that it gives up, which says nothing about the director.
        for namespace, device in ((self.client, "eth0"), (self.lab.network.switch, "client")):
            namespace.run(["nft", "-f", "-"], stdin="\n".join([
                "table netdev lossy {",
                f'  chain lose {{ type filter hook ingress device "{device}" priority 0; policy accept;',
                "    numgen inc mod 47 0 drop; }", "}", ""]))
            self.addCleanup(namespace.run, ["nft", "delete", "table", "netdev", "lossy"])
        for version in (4, 6):
            self.assert_all_answered(http_load(self.client, config.VIP[version], 300))
            self.assert_downloads(Downloads(self.client, config.VIP[version], 2, name=f"lossy{version}").finish())
            self.assert_upload(version, f"lossy{version}")


if __name__ == "__main__":
    unittest.main()
