#!/usr/bin/python3
"""flood.py: TCP SYNs, segments with other flags, or UDP datagrams to one address, at a bounded rate.

Frames are made once and sent again and again, through a packet socket. To closed ports of a machine (--first-port) the
ports vary; to one open port (--port) the sources do: each frame is of another spoofed client of 198.18.0.0/16 or
2001:db8:99::/64. SIGTERM ends it before its time. The report is one line of JSON.
"""

import argparse
import json
import signal
import socket
import struct
import sys
import time

BURST = 32


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def transport(options, source_port, port, pseudo):
    """A TCP segment without data, or a UDP datagram of 8 bytes; `pseudo`: the pseudo header but for the length."""
    if options.protocol == "tcp":
        message, at = struct.pack("!HHIIBBHHH", source_port, port, 1, 0, 5 << 4, options.flags, 1024, 0, 0), 16
    else:
        message, at = struct.pack("!HHHH8s", source_port, port, 16, 0, b"flooding"), 6
    total = checksum(pseudo + struct.pack("!I", len(message)) + message) or 0xFFFF
    return message[:at] + struct.pack("!H", total) + message[at + 2 :]


def frame(options, source_mac, index):
    number = {"tcp": 6, "udp": 17}[options.protocol]
    source = options.source
    if options.port:
        source = f"2001:db8:99::{index:x}" if ":" in options.target else f"198.18.{index >> 8}.{index & 255}"
    port = options.port or options.first_port + index
    family = socket.AF_INET6 if ":" in options.target else socket.AF_INET
    addresses = socket.inet_pton(family, source) + socket.inet_pton(family, options.target)
    message = transport(options, 1024 + index % 60000, port, addresses + struct.pack("!I", number))
    if family == socket.AF_INET6:
        ether_type, ip = b"\x86\xdd", struct.pack("!IHBB", 6 << 28, len(message), number, 64) + addresses
    else:
        ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(message), index & 0xFFFF, 0, 64, number, 0) + addresses
        ether_type, ip = b"\x08\x00", ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]
    return bytes.fromhex(options.mac.replace(":", "")) + source_mac + ether_type + ip + message


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--interface", required=True)
    parser.add_argument("--mac", required=True, help="of the target")
    parser.add_argument("--source", help="of all frames, without --port")
    parser.add_argument("--target", required=True)
    parser.add_argument("--first-port", type=int, default=40000, help="of the closed ones")
    parser.add_argument("--port", type=int, help="the open port, to which spoofed clients send")
    parser.add_argument("--protocol", choices=("tcp", "udp"), default="tcp")
    parser.add_argument("--flags", type=int, default=2, help="of TCP")
    parser.add_argument("--frames", type=int, default=512, help="different ones; at most 65536")
    parser.add_argument("--rate", type=int, default=50000, help="packets per second")
    parser.add_argument("--seconds", type=float, default=3)
    options = parser.parse_args()

    sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    sender.bind((options.interface, 0))
    frames = [frame(options, sender.getsockname()[4], index) for index in range(options.frames)]
    sent = refused = 0
    ended = []
    signal.signal(signal.SIGTERM, lambda *_: ended.append(True))
    begun = time.monotonic()
    while (elapsed := time.monotonic() - begun) < options.seconds and not ended:
        if sent + refused > elapsed * options.rate:
            time.sleep(0.0005)
            continue
        for _ in range(BURST):
            try:
                sender.send(frames[sent % len(frames)])
                sent += 1
            except OSError:  # the interface's queue is full
                refused += 1
    json.dump({"sent": sent, "refused": refused, "seconds": round(time.monotonic() - begun, 3)}, sys.stdout)
    print()


if __name__ == "__main__":
    main()
