"""Sessions stay with a draining backend, both ways, while new flows go to the other; when it is removed they end: its
answers are dropped, so are segments of its connections, and a new SYN from the same port goes to the other."""

import kit
import nat


def build(case):
    nat.use_full_nat(case)
    both = {"web-1": "192.0.2.11", "web-2": "192.0.2.12"}
    case.pool("web", both)
    case.vip("www", nat.VIPS[4], "tcp", 80, "web", "full-nat")
    two, other = kit.Scheduler(dict.fromkeys(both, 100)), kit.Scheduler({"web-1": 100})

    def flow(port, scheduler):
        ends = (nat.CLIENTS[4], nat.VIPS[4], port, 80, 6)
        name = scheduler.choose(*ends)
        return nat.Flow(case, "www", 4, "tcp", 80, port, full=True, backend=f"web/{name}", address=both[name])

    flows = [flow(port, two) for port in range(1000, 1020)]
    mine = [f for f in flows if f.backend == "web/web-2"]
    for f in flows:
        f.sends(f.packet(), "scheduler")
    case.backend_drain("web/web-2")
    for f in flows:
        f.answers(f.reply(l4_fields={"flags": "SA", "seq": 9, "ack": 1}))
        f.sends(f.packet(l4_fields={"flags": "A", "seq": 1, "ack": 10}), "connection_table")
    for port in range(2000, 2010):
        f = flow(port, other)
        f.sends(f.packet(), "scheduler")
    case.backend_remove("web/web-2")
    for f in mine[:-1]:
        case.send(kit.ether_in() / f.reply(l4_fields={"flags": "A"})).dropped("nat_unknown_reply")
        case.send(kit.ether_in() / f.packet(l4_fields={"flags": "A"})).dropped("nat_no_session", "www")
    again = flow(mine[-1].client[1], other)
    again.sends(again.packet(), "scheduler")
    for f in flows:
        if f not in mine:
            f.answers(f.reply(b"x", {"flags": "PA", "seq": 10, "ack": 1}))
