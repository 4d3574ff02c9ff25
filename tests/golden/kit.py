"""What cases are written with: a configuration, packets that arrive, and for each what must become of it.

A case is a folder cases/NAME with a case.py that defines build(case). Expected bytes are made here with scapy or by
hand, never with sluiced. Counters are not stated but derived from what is expected of each packet (see expected()).
"""

import sys

from scapy.config import conf

# Of some eighty protocols that scapy.all would load at the start of each group of cases, what the cases use.
conf.load_layers = ["l2", "inet", "inet6", "sctp"]
import scapy.all as scapy  # noqa: E402

# The director and its network, the same in all cases unless a case changes them.
DIRECTOR_MAC = "02:5c:00:00:00:00"  # sluice-replay's default for the first port
DIRECTOR_V4 = "192.0.2.2"
DIRECTOR_V6 = "2001:db8::2"
ROUTER_MAC = "02:00:00:00:01:01"  # whence clients' packets come
CLIENT_V4 = "198.51.100.7"
CLIENT_V6 = "2001:db8:c::7"
VIP_V4 = "203.0.113.10"
VIP_V6 = "2001:db8:f::10"
SEED = "000102030405060708090a0b0c0d0e0f"


def mac_of(address):
    """The MAC address that sluice-replay gives a neighbour: 02:00 and the last four bytes of the IP address."""
    family = scapy.socket.AF_INET6 if ":" in address else scapy.socket.AF_INET
    return "02:00:" + ":".join(f"{b:02x}" for b in scapy.inet_pton(family, address)[-4:])


def ether_in(**fields):
    """The Ethernet header of a packet that the router hands to the director."""
    return scapy.Ether(src=ROUTER_MAC, dst=DIRECTOR_MAC, **fields)


def ether_out(neighbour, **fields):
    """The Ethernet header of a packet that the director sends to a neighbour, given by its IP address."""
    return scapy.Ether(src=DIRECTOR_MAC, dst=mac_of(neighbour), **fields)


def ether_back(**fields):
    """The Ethernet header of an answer: to the router that brought what is answered."""
    return scapy.Ether(src=DIRECTOR_MAC, dst=ROUTER_MAC, **fields)


def ip_bytes(frame):
    """The length of the IP packet in a frame, as its header states it; None for other frames."""
    ether_type, at = int.from_bytes(frame[12:14], "big"), 14
    while ether_type in (0x8100, 0x88A8):
        ether_type, at = int.from_bytes(frame[at + 2 : at + 4], "big"), at + 4
    if ether_type == 0x0800:
        return int.from_bytes(frame[at + 2 : at + 4], "big")
    if ether_type == 0x86DD:
        return int.from_bytes(frame[at + 4 : at + 6], "big") + 40
    return None


def ip_in(family, **fields):
    """The IP header of a client's packet to the VIP of its family."""
    client, vip = (CLIENT_V4, VIP_V4) if family == 4 else (CLIENT_V6, VIP_V6)
    return (scapy.IP if family == 4 else scapy.IPv6)(**{"src": client, "dst": vip, **fields})


BACKENDS = {4: "192.0.2.11", 6: "2001:db8::11"}
DIRECTORS = {4: DIRECTOR_V4, 6: DIRECTOR_V6}
VIPS = {4: VIP_V4, 6: VIP_V6}


class Packet:
    """One packet that arrives, and its expectation, which one of the methods must set."""

    def __init__(self, time_ns, frame):
        self.time_ns = time_ns
        self.frame = bytes(frame)
        self.record = None
        self.out = None
        self.is_reply = False
        self.extra = []  # frames that leave because of this one, behind it
        self.later = None  # what became of a held one in the end
        self.originated = 0

    @property
    def final(self):
        """What became of the packet in the end; None while it is held."""
        return self.later if self.record["fate"] == "held" else self.record

    def _expect(self, fate, out, **record):
        if self.record is not None:
            raise ValueError("a packet has one fate")
        self.record = {"fate": fate, **{k: v for k, v in record.items() if v is not None}}
        self.out = None if out is None else bytes(out)

    def forwarded(self, out, vip, backend, rung="scheduler"):
        self._expect("forwarded", out, vip=vip, backend=backend, rung=rung)

    def replied(self, out, vip, backend=None):
        """A backend's packet that goes to the client; `backend` is known where a session tells it."""
        self.is_reply = True
        self._expect("forwarded", out, vip=vip, backend=backend)

    def dropped(self, reason, vip=None, backend=None, rung=None):
        self._expect("dropped", None, reason=reason, vip=vip, backend=backend, rung=rung)

    def answered(self, out, vip=None, backend=None, rung=None):
        """The director sends `out` itself, back to where the packet came from."""
        self._expect("answered", out, vip=vip, backend=backend, rung=rung)

    def held(self):
        """Waits for the first fragment of its packet. Its end is told by releases() of that one, or by timed_out()."""
        self._expect("held", None)
        return self

    def releases(self, held, out, vip, backend, rung=None):
        """Lets a held packet be forwarded as `out`; `rung` is None for a backend's."""
        held.is_reply = rung is None
        held.later = {"fate": "forwarded", "vip": vip, "backend": backend}
        if rung is not None:
            held.later["rung"] = rung
        self._add_extra(out)

    def releases_dropped(self, held, reason):
        held.later = {"fate": "dropped", "reason": reason}

    def timed_out(self):
        self.later = {"fate": "dropped", "reason": "fragment_timeout"}

    def pieces(self, outs):
        """Frames beyond the first into which the packet was cut."""
        for out in outs:
            self._add_extra(out)
            self.originated += 1

    def copies(self, outs):
        """The same packet for other backends; these frames are counted as pieces are."""
        self.pieces(outs)

    def _add_extra(self, out):
        self.extra.append(bytes(out))
        self.record.setdefault("extra", []).append("forwarded")

    def punted(self, punt_class):
        """The host's kernel gets the packet as it came."""
        self._expect("punted", self.frame, **{"class": punt_class})


class Case:
    def __init__(self, name):
        self.name = name
        self.port = {
            "name": "wan",
            "devices": ["net_null0"],
            "addresses": [f"{DIRECTOR_V4}/24", f"{DIRECTOR_V6}/64"],
            "gateways": ["192.0.2.1", "2001:db8::1"],
            "mtu": 1500,
            "exception": {"interface": "sluice-wan"},
        }
        self.node = {
            "name": "golden",
            "ports": [self.port],
            "tables": {"connections_v4": 1024, "connections_v6": 1024},
        }
        self.services = {"seed": SEED, "pools": [], "vips": []}
        self.neighbours = {}
        self.arguments = []
        self.packets = []
        self.counters = {}
        self.steps = []
        self._final = None  # backends after the steps, once there is one that adds or removes
        self._added = {}  # backends that exist since a step: the number of packets before it
        self._time_ns = 1_700_000_000 * 1_000_000_000

    def pool(self, name, backends, **fields):
        """`backends`: {name: address} or {name: {address: ..., weight: ...}}."""
        entries = []
        for backend, value in backends.items():
            entries.append({"name": backend, **(value if isinstance(value, dict) else {"address": value})})
        self.services["pools"].append({"name": name, "backends": entries, **fields})

    def vip(self, name, address, protocol, port, pool, mode, **fields):
        self.services["vips"].append(
            {"name": name, "address": address, "protocol": protocol, "port": port, "pool": pool, "mode": mode, **fields}
        )

    def wait(self, seconds):
        """Lets time pass before the next packet."""
        self._time_ns += int(seconds * 1_000_000_000)

    # Steps between packets, which sluice-replay takes as a scenario. Where a change must be refused, `refused` is a
    # part of the message.

    def _step(self, action, **fields):
        fields = {key: value for key, value in fields.items() if value is not None}
        self.steps.append((len(self.packets), {action: fields}))

    def advance(self, seconds):
        """Lets whole seconds pass without a packet; unlike wait() a step of its own, before expect() for example."""
        self._time_ns += seconds * 1_000_000_000
        self.steps.append((len(self.packets), {"advance": seconds}))

    def backend_add(self, backend, address, weight=None, refused=None):
        """`backend` is "pool/name", here and below."""
        if refused is None:
            self._added[backend] = len(self.packets)
            pool, _, name = backend.partition("/")
            self._final_pool(pool).append(name)
        self._step("backend", name=backend, change="add", address=address, weight=weight, refused=refused)

    def backend_remove(self, backend, refused=None):
        if refused is None:
            pool, _, name = backend.partition("/")
            self._final_pool(pool).remove(name)
        self._step("backend", name=backend, change="remove", refused=refused)

    def backend_drain(self, backend, refused=None):
        self._step("backend", name=backend, change="drain", refused=refused)

    def backend_undrain(self, backend, refused=None):
        self._step("backend", name=backend, change="undrain", refused=refused)

    def backend_down(self, backend):
        self._step("backend", name=backend, change="down")

    def backend_up(self, backend):
        self._step("backend", name=backend, change="up")

    def backend_weight(self, backend, weight, refused=None):
        self._step("backend", name=backend, change="weight", weight=weight, refused=refused)

    def apply(self, services, refused=None):
        """Applies other services, as a reload does; those of the case are where it starts."""
        if refused is None:
            before = {(pool, name) for pool, names in self._final_backends().items() for name in names}
            self._final = {pool["name"]: [b["name"] for b in pool["backends"]] for pool in services["pools"]}
            for pool, names in self._final.items():
                self._added |= {f"{pool}/{n}": len(self.packets) for n in names if (pool, n) not in before}
        self._step("apply", file={"services": services}, refused=refused)

    def expect(self, **sections):
        """Counters at this point, by their names in sluice-replay's report; see "expect" in its --help."""
        self._step("expect", **sections)

    def _final_pool(self, pool):
        return self._final_backends().setdefault(pool, [])

    def _final_backends(self):
        """The names of the backends after all steps, by pool."""
        if self._final is None:
            pools = self.services["pools"]
            self._final = {pool["name"]: [backend["name"] for backend in pool["backends"]] for pool in pools}
        return self._final

    def scenario(self):
        """The steps of the case with packets between them: either a step for the scenario or a list of packets."""
        sequence, sent = [], 0
        for at, step in [*self.steps, (len(self.packets), None)]:
            if at > sent:
                sequence.append(self.packets[sent:at])
            sent = at
            if step is not None:
                sequence.append(step)
        return sequence

    def send(self, frame):
        """Lets a packet arrive, a microsecond after the one before."""
        self._time_ns += 1000
        self.packets.append(Packet(self._time_ns, frame))
        return self.packets[-1]

    def count(self, section, name, **values):
        """States counters of the report beyond those that follow from the packets."""
        self.counters.setdefault(section, {}).setdefault(name, {}).update(values)

    def config(self):
        return {"node": self.node, "services": self.services}

    def _derived(self, section, key, names):
        counters = {name: {"packets": 0, "bytes": 0} for name in names}
        if section == "vips":
            for counter in counters.values():
                counter["dropped"] = 0
        for number, packet in enumerate(self.packets):
            final = packet.final or {"fate": "held"}
            name = final.get(key)
            was_dropped = final["fate"] == "dropped"
            if name is None or (section == "backends" and final["fate"] != "forwarded"):
                continue
            # What comes from backends is counted apart from what goes to them.
            if packet.is_reply:
                if section == "vips" and was_dropped:
                    counters[name]["dropped"] += 1
                continue
            # A backend's counters go with it, and begin with it.
            if section == "backends" and (number < self._added.get(name, 0) or (self.steps and name not in counters)):
                continue
            counters[name]["packets"] += 1
            counters[name]["bytes"] += ip_bytes(packet.frame)
            if section == "vips" and was_dropped:
                counters[name]["dropped"] += 1
        return counters

    def expected(self):
        """The report that must come: records, totals, rungs, and the counters of VIPs and backends."""
        records = [p.record for p in self.packets]
        if None in records:
            raise ValueError(f"packet {records.index(None) + 1} has no expectation")
        totals = {"received": len(records), "forwarded": 0, "answered": 0, "punted": 0, "sent_for_host": 0}
        totals |= {"from_host": 0, "originated": 0, "held": 0, "dropped": {}}
        rungs = {"connection_table": 0, "cookie": 0, "scheduler": 0, "scheduler_no_entry": 0, "hash_only": 0}
        rungs |= {"slot": 0, "quic": 0, "policy": 0, "safe": 0}
        for packet in self.packets:
            record = packet.final or {"fate": "held"}
            totals["originated"] += packet.originated
            totals["forwarded"] += packet.originated
            if record["fate"] == "dropped":
                totals["dropped"][record["reason"]] = totals["dropped"].get(record["reason"], 0) + 1
            else:
                totals[record["fate"]] += 1
            if "rung" in record:
                rungs[record["rung"]] += 1
        backends = [f"{pool}/{name}" for pool, names in self._final_backends().items() for name in names]
        return {
            "packets": records,
            "totals": totals,
            "rungs": rungs,
            "vips": self._derived("vips", "vip", [vip["name"] for vip in self.services["vips"]]),
            "backends": self._derived("backends", "backend", backends),
        }


def oracle():
    """The modules of tools/oracle, for cases with more than one backend."""
    import pathlib

    folder = str(pathlib.Path(__file__).resolve().parents[2] / "tools/oracle")
    if folder not in sys.path:
        sys.path.insert(0, folder)
    import flow_hash
    import maglev

    return flow_hash, maglev


class Scheduler:
    """The oracle's choice of a backend for a flow to a VIP."""

    def __init__(self, weights, table_size=65537, seed=SEED, heirs=False):
        self._hash, maglev = oracle()
        self._keys = self._hash.HashKeys(bytes.fromhex(seed))
        self._heirs = [None] * table_size if heirs else None
        self._table = maglev.table(self._keys, weights, table_size, self._heirs)

    def hash(self, source, destination, source_port, destination_port, protocol):
        return self._hash.flow_hash(self._keys, source, destination, source_port, destination_port, protocol)

    def choose(self, *flow):
        """The name of the backend for (source, destination, source port, destination port, protocol)."""
        return self._table[self._slot(flow)]

    def heir(self, *flow):
        """The name of the backend that would have the flow's slot without its owner; only with `heirs`."""
        return self._heirs[self._slot(flow)]

    def _slot(self, flow):
        return self._hash.slot_of(self.hash(*flow), len(self._table))
