"""Weighted round robin: connections that begin take turns as weights say, whether their cookie or the table remembers
them; what goes on finds its backend by that, and what nothing remembers goes by the hash."""

import cookies
import kit

# The heaviest first. Weights 2, 1, 1: a round with all three, then one with the first alone.
ORDER = ["web-2", "web-1", "web-3"]
CYCLE = ORDER + ["web-2"]


class Turns(cookies.Cookies):
    """The VIP with cookies, whose pool takes turns."""

    def __init__(self, case):
        super().__init__(case, 4)
        pool = case.services["pools"][0]
        pool["policy"] = "weighted-round-robin"
        for backend in pool["backends"]:
            backend["weight"] = 200 if backend["name"] == "web-2" else 100
        case.vip("plain", kit.VIP_V4, "tcp", 81, "web", "l2")
        self.scheduler = kit.Scheduler({"web-1": 100, "web-2": 200, "web-3": 100})
        self.turn = None

    def next(self, port, service=80):
        """Whose turn it is; the first connection's hash says where turns begin."""
        if self.turn is None:
            value = self.scheduler.hash(kit.CLIENT_V4, kit.VIP_V4, port, service, 6)
            self.turn = (value >> 32) % len(ORDER)
        name = CYCLE[self.turn % len(CYCLE)]
        self.turn += 1
        return name

    def begin(self, port):
        name = self.next(port)
        options = [("MSS", 1460), ("SAckOK", b""), ("Timestamp", (1, 0)), ("NOP", None), ("WScale", 7)]
        self.send(self.tcp(port, "S", options), port, name, "policy")
        return name

    def send_plain(self, port, flags, name, rung):
        """To the VIP without cookies, which tracks."""
        packet = cookies.IP(src=kit.CLIENT_V4, dst=kit.VIP_V4) / cookies.TCP(sport=port, dport=81, flags=flags)
        out = kit.ether_out(self.addresses[name]) / packet
        self.case.send(kit.ether_in() / packet).forwarded(out, "plain", f"web/{name}", rung)


def build(case):
    web = Turns(case)
    begun = {port: web.begin(port) for port in range(1000, 1024)}
    assert sorted(begun.values()) == ["web-1"] * 6 + ["web-2"] * 12 + ["web-3"] * 6
    for port, name in begun.items():
        web.echo(port, web.stamp(port, cookies.IDS[name]), name)
    # Both VIPs have the pool's turns in common.
    entered = {}
    for port in range(2000, 2016):
        entered[port] = web.next(port, 81)
        web.send_plain(port, "S", entered[port], "scheduler")
    for port, name in entered.items():
        web.send_plain(port, "A", name, "connection_table")
    # A connection with timestamps of which nothing is known, and an RST.
    for port in range(3000, 3010):
        web.refused(port, web.stamp(port, 6))
        web.lost_reset(port)
    case.counters["table_v4"] = {"inserted": len(entered)}
    case.counters["rungs"] = {"cookies_refused": 10}
