"""The lab's network: one switch with a client, a director and backends on it ("one arm").

                     +--------+
        client ------|        |------ director   (sluiced takes its interface)
     192.0.2.100     | switch |       192.0.2.2
                     |        |------ backend-1 .. backend-4
                     +--------+       192.0.2.11 .. 192.0.2.14, VIPs on lo

The client reaches the VIPs through the director's address; backends answer the client directly (DSR).
"""

import json
from dataclasses import dataclass

from lab.namespace import Namespace
from lab.process import run, wait_until

INTERFACE = "eth0"  # in every namespace but the switch


@dataclass(frozen=True)
class Host:
    role: str
    number: int  # last byte of its MAC address

    @property
    def mac(self):
        return f"02:5c:00:00:00:{self.number:02x}"

    @property
    def ipv4(self):
        return f"192.0.2.{self.number}"

    @property
    def ipv6(self):
        return f"2001:db8::{self.number}"

    def address(self, version):
        return self.ipv4 if version == 4 else self.ipv6


CLIENT = Host("client", 100)
DIRECTOR = Host("director", 2)
DIRECTOR_2 = Host("director-2", 3)  # only where a test adds them
DIRECTOR_3 = Host("director-3", 4)
ROUTER = Host("router", 1)  # only where a test asks for it
ABSENT = Host("absent", 19)  # nobody: a backend that is not there yet
VIP4 = "203.0.113.10"
VIP6 = "2001:db8:f::10"


def endpoint(address, port):
    """As sluicectl and URLs have it."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def backend_host(index):
    """Backends count from 1."""
    return Host(f"backend-{index}", 10 + index)


class Network:
    """Namespaces and links of one run."""

    def __init__(self, owner, backend_count=4):
        self._run = owner
        self.switch = Namespace(owner, "switch")
        self.switch.sysctl(net__ipv6__conf__default__disable_ipv6=1)
        self.switch.ip("link add switch0 type bridge mcast_snooping 0 stp_state 0 forward_delay 0",
                       "link set switch0 up")
        self.client = self._attach(CLIENT)
        self.director = self._attach(DIRECTOR, configure=False)
        self.router = None
        self.backends = {}
        for index in range(1, backend_count + 1):
            self.add_backend(backend_host(index))
        self._prepare_client()
        self._prepare_director(self.director)
        self._wait_for_links()

    def add_backend(self, host):
        """A backend with the VIPs on its loopback, which it does not announce: L2 mode needs both."""
        namespace = self._attach(host)
        namespace.sysctl(net__ipv4__conf__all__arp_ignore=1, net__ipv4__conf__all__arp_announce=2)
        namespace.ip(f"address add {VIP4}/32 dev lo", f"address add {VIP6}/128 dev lo nodad")
        self.backends[host.role] = namespace

    def _attach(self, host, configure=True):
        namespace = Namespace(self._run, host.role)
        # Before any interface is made: addresses can be used at once, and nobody looks for routers.
        namespace.sysctl(net__ipv6__conf__default__accept_dad=0, net__ipv6__conf__default__accept_ra=0,
                         net__ipv6__conf__default__router_solicitations=0)
        port = host.role
        run(["ip", "link", "add", INTERFACE, "netns", namespace.name, "address", host.mac, "type", "veth",
             "peer", "name", port, "netns", self.switch.name])
        # Frames between namespaces must look like those on a wire: complete checksums, no super-packets.
        for side, name in ((namespace, INTERFACE), (self.switch, port)):
            side.run(["ethtool", "-K", name, "tx", "off", "rx", "off", "tso", "off", "gso", "off", "gro", "off"])
        self.switch.ip(f"link set {port} master switch0", f"link set {port} up")
        if configure:
            namespace.ip(f"address add {host.ipv4}/24 dev {INTERFACE}",
                         f"address add {host.ipv6}/64 dev {INTERFACE} nodad",
                         f"link set {INTERFACE} up")
        return namespace

    def _wait_for_links(self):
        """The kernel reports carriers by and by, and a port of the switch forwards only after that."""
        expected = 2 + len(self.backends)

        def forwarding():
            ports = json.loads(run(["bridge", "-n", self.switch.name, "-json", "link", "show"]).stdout)
            return sum(port["state"] == "forwarding" for port in ports) == expected

        def up():
            return all(" state UP " in run(["ip", "-n", namespace.name, "link", "show", INTERFACE]).stdout
                       for namespace in (self.client, self.director, *self.backends.values()))

        wait_until(lambda: forwarding() and up(), 30, "the lab's links are up", interval=0.02)

    def _prepare_client(self):
        self.client.sysctl(net__ipv4__ip_local_port_range="1024 65535")
        self.client.ip(f"route add {VIP4}/32 via {DIRECTOR.ipv4}", f"route add {VIP6}/128 via {DIRECTOR.ipv6}")

    def keep_order(self):
        """From now on one CPU takes in what any interface receives. With several, packets of one connection overtake
        each other on the way, which the wires of a real network do not do."""
        for namespace in (self.switch, self.client, self.director, *self.backends.values()):
            namespace.run(["sh", "-c", "for cpus in /sys/class/net/*/queues/rx-*/rps_cpus; do echo 1 > $cpus; done"])

    def add_director(self, host):
        """The namespace of another director, ready for sluiced."""
        namespace = self._attach(host, configure=False)
        self._prepare_director(namespace)
        return namespace

    def route_over(self, *hosts):
        """A router whose kernel spreads what the client sends to the VIPs over these directors by tuples (ECMP); it
        comes with the first call."""
        if self.router is None:
            self._add_router()
        for vip, version, option in ((VIP4, 4, []), (VIP6, 6, ["-6"])):
            hops = [word for host in hosts for word in ("nexthop", "via", host.address(version), "dev", INTERFACE)]
            self.router.run(["ip", *option, "route", "replace", vip, *hops])

    def _add_router(self):
        self.router = self._attach(ROUTER)
        # One arm: packets leave where they came in, and nobody is to be told a shorter way.
        self.router.sysctl(net__ipv4__ip_forward=1, net__ipv6__conf__all__forwarding=1,
                           net__ipv4__conf__all__send_redirects=0,
                           net__ipv4__fib_multipath_hash_policy=1, net__ipv6__fib_multipath_hash_policy=1,
                           **{f"net__ipv4__conf__{INTERFACE}__send_redirects": 0})
        self.client.sysctl(**{f"net__ipv6__conf__{INTERFACE}__accept_redirects": 0})
        self.client.ip(f"route replace {VIP4}/32 via {ROUTER.ipv4}", f"route replace {VIP6}/128 via {ROUTER.ipv6}")

    def _prepare_director(self, namespace):
        # sluiced reads the interface through a packet socket and the kernel would answer beside it: an interface that
        # DPDK takes from the kernel for good needs none of this.
        namespace.sysctl(**{f"net__ipv6__conf__{INTERFACE}__disable_ipv6": 1})
        namespace.run(["nft", "-f", "-"], stdin="\n".join([
            "table netdev sluice_lab {",
            f'  chain kernel_sees_nothing {{ type filter hook ingress device "{INTERFACE}" priority 0; policy drop; }}',
            "}", ""]))
        namespace.ip(f"link set {INTERFACE} up")
