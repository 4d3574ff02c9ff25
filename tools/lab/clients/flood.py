#!/usr/bin/python3
"""flood.py: TCP SYNs to closed ports of one machine, at a bounded rate, through a packet socket.

Frames are made once and sent again and again; source and destination ports vary. The report is one line of JSON.
"""

import argparse
import json
import socket
import struct
import sys
import time

FRAMES = 512
BURST = 32


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def syn(options, source_mac, index):
    source, target = socket.inet_aton(options.source), socket.inet_aton(options.target)
    tcp = struct.pack("!HHIIBBHHH", 20000 + index, options.first_port + index, 1, 0, 5 << 4, 2, 1024, 0, 0)
    pseudo = source + target + struct.pack("!BBH", 0, 6, len(tcp))
    tcp = tcp[:16] + struct.pack("!H", checksum(pseudo + tcp)) + tcp[18:]
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), index, 0, 64, 6, 0, source, target)
    ip = ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]
    return bytes.fromhex(options.mac.replace(":", "")) + source_mac + b"\x08\x00" + ip + tcp


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--interface", required=True)
    parser.add_argument("--mac", required=True, help="of the target")
    parser.add_argument("--source", required=True)
    parser.add_argument("--target", required=True)
    parser.add_argument("--first-port", type=int, default=40000)
    parser.add_argument("--rate", type=int, default=50000, help="packets per second")
    parser.add_argument("--seconds", type=float, default=3)
    options = parser.parse_args()

    sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    sender.bind((options.interface, 0))
    frames = [syn(options, sender.getsockname()[4], index) for index in range(FRAMES)]
    sent = refused = 0
    begun = time.monotonic()
    while (elapsed := time.monotonic() - begun) < options.seconds:
        if sent + refused > elapsed * options.rate:
            time.sleep(0.0005)
            continue
        for _ in range(BURST):
            try:
                sender.send(frames[sent % FRAMES])
                sent += 1
            except OSError:  # the interface's queue is full
                refused += 1
    json.dump({"sent": sent, "refused": refused, "seconds": round(time.monotonic() - begun, 3)}, sys.stdout)
    print()


if __name__ == "__main__":
    main()
