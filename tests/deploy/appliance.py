"""The network around a director that is a virtual machine with two cards:

                     +---------+
        client ------| switch0 |------ virtio-net, several queues, RSS    --+
     192.0.2.100, .1 |  "wan"  |       0000:00:05.0   192.0.2.2             |
                     +---------+                                       the machine
                       |     |                                              |
               backend-1 .. backend-2  (192.0.2.11, .12; VIPs on lo)        |
               10.0.0.11 .. 10.0.0.12                                       |
                       |     |                                              |
                     +---------+                                            |
                     | switch1 |------ e1000e, one queue                  --+
                     |  "lan"  |       0000:00:06.0   10.0.0.2
                     +---------+
"""

from lab import registry
from lab.backends import Backends
from lab.lab import default_binaries
from lab.network import DIRECTOR, INTERFACE, Network
from lab.process import run
from lab.stop import stop_by_exception

WAN_PCI, LAN_PCI = "0000:00:05.0", "0000:00:06.0"
LAN_MAC = "02:5c:00:00:01:02"
GATEWAY, GATEWAY6 = "192.0.2.1", "2001:db8::1"
# Besides the lab's: a VIP whose backends are reached through "lan" (l2), and one with full NAT there.
VIP_LAN, VIP_FULL_NAT = "203.0.113.12", "203.0.113.11"
_QUEUES = 2


class Appliance:
    """All but the machine; remove() ends whatever was started in it."""

    def __init__(self, backend_count=2):
        stop_by_exception()
        registry.remove_abandoned()
        self.run = registry.Run.create()
        try:
            self.network = Network(self.run, backend_count)
            self.switch = self.network.switch
            self._make_room_for_cards()
            self._add_lan()
            self.backends = Backends(self.run, self.network, default_binaries())
            self.backends.start_nginx()
        except BaseException:
            self.run.remove()
            raise
        self.client = self.network.client

    def remove(self):
        self.run.remove()

    def _make_room_for_cards(self):
        self.switch.ip(
            # The machine takes the director's place.
            f"link del {DIRECTOR.role}",
            "tuntap add vm-wan mode tap multi_queue", "link set vm-wan master switch0 up",
            "link add switch1 type bridge mcast_snooping 0 stp_state 0 forward_delay 0", "link set switch1 up",
            "tuntap add vm-lan mode tap", "link set vm-lan master switch1 up")
        # The example's gateway is somebody.
        self.network.client.ip(f"address add {GATEWAY}/24 dev {INTERFACE}",
                               f"address add {GATEWAY6}/64 dev {INTERFACE} nodad",
                               *(f"route add {vip}/32 via {DIRECTOR.ipv4}" for vip in (VIP_LAN, VIP_FULL_NAT)))

    def _add_lan(self):
        for index, (role, namespace) in enumerate(self.network.backends.items(), 1):
            port = f"{role}-lan"[-15:]
            run(["ip", "link", "add", "eth1", "netns", namespace.name, "type", "veth", "peer", "name", port, "netns",
                 self.switch.name])
            for side, name in ((namespace, "eth1"), (self.switch, port)):
                side.run(["ethtool", "-K", name, "tx", "off", "rx", "off", "tso", "off", "gso", "off", "gro", "off"])
            self.switch.ip(f"link set {port} master switch1 up")
            namespace.ip(f"address add 10.0.0.{10 + index}/24 dev eth1", "link set eth1 up",
                         f"address add {VIP_LAN}/32 dev lo")
            # Clients' packets come in by one interface, answers leave by the other.
            namespace.sysctl(net__ipv4__conf__all__rp_filter=0, net__ipv4__conf__eth1__rp_filter=0)

    @staticmethod
    def cards():
        """Options of QEMU."""
        return [
            "-netdev", f"tap,id=wan,ifname=vm-wan,script=no,downscript=no,queues={_QUEUES}",
            "-device", f"virtio-net-pci,netdev=wan,mac={DIRECTOR.mac},addr=0x5,romfile=,mq=on,rss=on,"
                       f"vectors={2 * _QUEUES + 2},disable-legacy=on,iommu_platform=on",
            "-netdev", "tap,id=lan,ifname=vm-lan,script=no,downscript=no",
            "-device", f"e1000e,netdev=lan,mac={LAN_MAC},addr=0x6,romfile="]
