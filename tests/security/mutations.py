"""Changes of bytes and texts at random, for fuzzers that know what they start from."""


def changed_bytes(content, rng, others=(b"",)):
    """Bytes with a few changes: bits, cuts, other bytes, extreme numbers, pieces of others."""
    content = bytearray(content)
    for _ in range(rng.choice([1, 1, 2, 4, 16])):
        place = rng.randrange(len(content) + 1)
        match rng.randrange(8):
            case 0 if place < len(content):
                content[place] ^= 1 << rng.randrange(8)
            case 1 if rng.random() < 0.3:
                del content[place:]
            case 2:
                content[place:place] = rng.randbytes(rng.choice([1, 4, 64]))
            case 3:
                content[place : place + 8] = rng.choice(
                    [b"\xff" * 8, bytes(8), b"\xff" * 7 + b"\x7f", b"\x01"]
                )
            case 4:
                content[place : place + 4] = rng.choice([b"\xff\xff\xff\x7f", b"\x00\x00\x00\x80", bytes(4)])
            case 5:
                del content[place : place + rng.choice([1, 8, 100])]
            case 6:
                other = rng.choice(others)
                begin = rng.randrange(len(other) + 1)
                content[place:place] = other[begin : begin + rng.choice([4, 40, 400])]
            case _:
                for _ in range(rng.randrange(1, 8)):
                    if content:
                        content[rng.randrange(len(content))] = rng.randrange(256)
    return bytes(content)


def changed_words(words, rng, others):
    """Words of a text, some of them gone, twice, elsewhere, or others."""
    words = list(words)
    for _ in range(rng.choice([1, 1, 2, 3, 8])):
        place = rng.randrange(len(words) + 1)
        match rng.randrange(6):
            case 0:
                del words[place : place + rng.choice([1, 1, 2, 5])]
            case 1:
                words[place : place + 1] = [rng.choice(others)]
            case 2:
                words.insert(place, rng.choice(others))
            case 3:
                other = rng.randrange(len(words) + 1)
                words[place:place] = words[other : other + rng.choice([1, 3, 8])]
            case 4:
                words[place:place] = words[place : place + rng.choice([1, 2, 4])] * rng.choice([1, 2, 50])
            case _:
                words.insert(place, chr(rng.choice([rng.randrange(128), rng.randrange(0x110000)])))
    return words
