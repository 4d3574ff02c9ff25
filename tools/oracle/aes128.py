"""AES-128 encryption (FIPS 197) out of the round of aes_round.py; shares no code with dataplane/lb."""

from aes_round import SBOX, aes_round, shift_rows, sub_bytes, xor


def expand_key(key):
    """The 11 round keys, by words as in section 5.2 of the standard."""
    words = [key[i : i + 4] for i in range(0, 16, 4)]
    constant = 1
    for i in range(4, 44):
        word = words[i - 1]
        if i % 4 == 0:
            word = bytes(SBOX[b] for b in word[1:] + word[:1])
            word = bytes([word[0] ^ constant]) + word[1:]
            constant = constant << 1 ^ (0x11B if constant & 0x80 else 0)
        words.append(xor(words[i - 4], word))
    return [b"".join(words[i : i + 4]) for i in range(0, 44, 4)]


def encrypt(key, block):
    round_keys = expand_key(key)
    state = xor(block, round_keys[0])
    for round_key in round_keys[1:10]:
        state = aes_round(state, round_key)
    return xor(shift_rows(sub_bytes(state)), round_keys[10])
