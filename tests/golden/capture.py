"""Reads and writes pcap files with nothing but struct, so that the golden tests do not rest on the library that
sluice-replay reads them with."""

import struct

_MAGIC_MICROSECONDS = 0xA1B2C3D4
_MAGIC_NANOSECONDS = 0xA1B23C4D
_LINK_ETHERNET = 1


def write(path, frames, nanoseconds=True, byte_order="<", snap_length=262144):
    """Writes (time_ns, bytes) pairs; frames longer than `snap_length` are cut, as tcpdump -s does."""
    magic = _MAGIC_NANOSECONDS if nanoseconds else _MAGIC_MICROSECONDS
    unit = 1 if nanoseconds else 1000
    with open(path, "wb") as file:
        file.write(struct.pack(byte_order + "IHHiIII", magic, 2, 4, 0, 0, snap_length, _LINK_ETHERNET))
        for time_ns, frame in frames:
            seconds, rest = divmod(time_ns, 1_000_000_000)
            stored = frame[:snap_length]
            file.write(struct.pack(byte_order + "IIII", seconds, rest // unit, len(stored), len(frame)))
            file.write(stored)


def write_pcapng(path, frames):
    """The same as a pcapng file with one interface and nanosecond stamps, as Wireshark's tools write it."""

    def block(kind, body):
        body += bytes(-len(body) % 4)
        return struct.pack("<II", kind, len(body) + 12) + body + struct.pack("<I", len(body) + 12)

    with open(path, "wb") as file:
        file.write(block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)))
        resolution = struct.pack("<HHBxxx", 9, 1, 9) + struct.pack("<HH", 0, 0)
        file.write(block(1, struct.pack("<HHI", _LINK_ETHERNET, 0, 262144) + resolution))
        for time_ns, frame in frames:
            head = struct.pack("<IIIII", 0, time_ns >> 32, time_ns & 0xFFFFFFFF, len(frame), len(frame))
            file.write(block(6, head + frame))


def read(path):
    """The (time_ns, bytes) pairs of a little-endian pcap file with nanosecond stamps."""
    with open(path, "rb") as file:
        data = file.read()
    magic, _, _, _, _, _, link = struct.unpack_from("<IHHiIII", data)
    if magic != _MAGIC_NANOSECONDS or link != _LINK_ETHERNET:
        raise ValueError(f"{path}: magic {magic:#x} and link type {link}, expected nanoseconds and Ethernet")
    frames = []
    at = 24
    while at < len(data):
        seconds, nanoseconds, stored, length = struct.unpack_from("<IIII", data, at)
        if stored != length:
            raise ValueError(f"{path}: a frame of {length} bytes was stored with {stored}")
        frames.append((seconds * 1_000_000_000 + nanoseconds, data[at + 16 : at + 16 + stored]))
        at += 16 + stored
    return frames
