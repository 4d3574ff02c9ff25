"""A backend goes down and comes up in the middle of connections: by its pool they stay, get another backend, or are
reset; new ones go where they would if it were not there. With the backup pool when all are down, and without any."""

import kit
from scapy.all import IP, TCP, UDP, Raw

BACKENDS = ("web-1", "web-2", "web-3")
POLICIES = {"keep": 81, "reschedule": 82, "reset": 83}
OLD, NEW = range(1000, 1040), range(2000, 2020)


def build(case):
    all_three = kit.Scheduler(dict.fromkeys(BACKENDS, 100))
    others = kit.Scheduler(dict.fromkeys(("web-1", "web-3"), 100))
    address = {name: f"192.0.2.{10 + i}" for i, name in enumerate(BACKENDS, 1)}
    case.pool("spare", {"spare-1": "192.0.2.19"})
    for policy, port in POLICIES.items():
        case.pool(policy, address, on_down=policy, backup="spare", no_backend="reset")
        case.vip(policy, kit.VIP_V4, "tcp", port, policy, "l2")
    case.pool("udp", address, on_down="reset")
    case.vip("udp", kit.VIP_V4, "udp", 53, "udp", "l2")
    case.node["answers_per_s"] = 1000

    def packet(policy, port, flags):
        ip = IP(src=kit.CLIENT_V4, dst=kit.VIP_V4)
        if policy == "udp":
            return ip / UDP(sport=port, dport=53) / Raw(b"question")
        return ip / TCP(sport=port, dport=POLICIES[policy], flags=flags, seq=7, ack=0 if flags == "S" else 9)

    def send(policy, port, flags, name, rung):
        sent = packet(policy, port, flags)
        pool = "spare" if name == "spare-1" else policy
        out = kit.ether_out({**address, "spare-1": "192.0.2.19"}[name]) / sent
        case.send(kit.ether_in() / sent).forwarded(out, policy, f"{pool}/{name}", rung)

    def is_reset(policy, port, flags, rung):
        sent = packet(policy, port, flags)
        ack = flags == "S"
        tcp = TCP(sport=sent[TCP].dport, dport=port, seq=0 if ack else 9, ack=8 if ack else 0,
                  flags="RA" if ack else "R", window=0)
        answer = IP(src=kit.VIP_V4, dst=kit.CLIENT_V4, ttl=64, id=0, flags="DF") / tcp
        case.send(kit.ether_in() / sent).answered(kit.ether_back() / answer, policy, rung=rung)

    def choose(scheduler, policy, port):
        proto, dport = (17, 53) if policy == "udp" else (6, POLICIES[policy])
        return scheduler.choose(kit.CLIENT_V4, kit.VIP_V4, port, dport, proto)

    def all_policies(change, backend):
        for policy in (*POLICIES, "udp"):
            change(f"{policy}/{backend}")

    before = {}
    for policy in (*POLICIES, "udp"):
        for port in OLD:
            before[policy, port] = choose(all_three, policy, port)
            send(policy, port, "S", before[policy, port], "scheduler")
            send(policy, port, "A", before[policy, port], "connection_table")
    all_policies(case.backend_down, "web-2")
    moved = 0
    for policy in (*POLICIES, "udp"):
        for port in OLD:
            name = before[policy, port]
            if name != "web-2" or policy == "keep":
                send(policy, port, "A", name, "connection_table")
            elif policy == "reset":
                is_reset(policy, port, "A", "connection_table")
            else:
                before[policy, port] = choose(others, policy, port)
                send(policy, port, "A", before[policy, port], "scheduler")
                moved += 1
        for port in NEW:
            send(policy, port, "S", choose(others, policy, port), "scheduler")
    case.expect(rungs={"rescheduled": moved})
    all_policies(case.backend_up, "web-2")
    for policy in POLICIES:
        for port in OLD:
            # Where it was reset a client begins anew, and may come to the same backend again.
            over = policy == "reset" and before[policy, port] == "web-2"
            send(policy, port, "S" if over else "A", before[policy, port], "scheduler" if over else "connection_table")
    # All are down: the backup gets new connections, and those that may leave.
    for backend in BACKENDS:
        case.backend_down(f"keep/{backend}")
        case.backend_down(f"reschedule/{backend}")
    for port in OLD:
        send("keep", port, "A", before["keep", port], "connection_table")
        send("keep", port + 2000, "S", "spare-1", "scheduler")
        send("reschedule", port, "A", "spare-1", "scheduler")
    # Nobody is left.
    case.backend_down("spare/spare-1")
    for port in OLD:
        send("keep", port, "A", before["keep", port], "connection_table")
        is_reset("keep", port + 3000, "S", None)
    case.backend_up("keep/web-1")
    for port in OLD:
        send("keep", port + 4000, "S", "web-1", "scheduler")
