#!/usr/bin/python3
"""slow_path.py MAC ADDRESS...: packets to the addresses are late.

They are routed into an interface of this program (slow0), wait there, and leave by eth0 to the station with the MAC
address. For how many milliseconds they wait is read from standard input, line by line; each line is answered with "ok".
"""

import argparse
import collections
import fcntl
import os
import select
import socket
import struct
import subprocess
import sys
import time

NAME = "slow0"
LINK = "eth0"
# linux/if_tun.h
TUNSETIFF = 0x400454CA
IFF_TUN_NO_PI = 0x0001 | 0x1000
ETHER_TYPES = {4: b"\x08\x00", 6: b"\x86\xdd"}


def open_tun():
    tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", NAME.encode(), IFF_TUN_NO_PI))
    return tun


def route(addresses):
    """Into the interface; what is sent has the addresses that the link has."""
    subprocess.run(["ip", "link", "set", NAME, "up"], check=True)
    for address in addresses:
        shown = subprocess.run(["ip", "-o", "route", "get", address], check=True, capture_output=True, text=True).stdout
        words = shown.split()
        subprocess.run(["ip", "route", "replace", address, "dev", NAME, "src", words[words.index("src") + 1]],
                       check=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("mac")
    parser.add_argument("addresses", nargs="+")
    options = parser.parse_args()
    mac = bytes.fromhex(options.mac.replace(":", ""))
    tun = open_tun()
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    wire.bind((LINK, 0))
    own = wire.getsockname()[4]
    route(options.addresses)
    waiting = collections.deque()  # (when it came, packet)
    delay_s = 0.0
    while True:
        pause = max(0.0, waiting[0][0] + delay_s - time.monotonic()) if waiting else None
        ready, _, _ = select.select([tun, sys.stdin], [], [], pause)
        if tun in ready:
            waiting.append((time.monotonic(), os.read(tun, 65536)))
        if sys.stdin in ready:
            line = sys.stdin.readline()
            if not line:
                return
            delay_s = float(line) / 1000
            print("ok", flush=True)
        while waiting and waiting[0][0] + delay_s <= time.monotonic():
            packet = waiting.popleft()[1]
            if (version := packet[0] >> 4) in ETHER_TYPES:
                wire.send(mac + own + ETHER_TYPES[version] + packet)


if __name__ == "__main__":
    main()
