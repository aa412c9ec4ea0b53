"""Bytes as a bad disk or an attacker leaves them."""

import random


def flipped_bytes(data, seed, times=400):
    """``data`` again and again, each time with other three bytes replaced; prints the seed."""
    print("seed", seed)
    rng = random.Random(seed)
    for _ in range(times):
        damaged = bytearray(data)
        for _ in range(3):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        yield bytes(damaged)
