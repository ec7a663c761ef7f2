"""The kernel's classic BPF machine (Documentation/networking/filter.rst), for programs of otmon.capture.share."""

from collections.abc import Sequence

WORD = 0xFFFFFFFF


def takes(program: Sequence[tuple[int, int, int, int]], frame: bytes) -> bool:
    """Whether a socket with this filter gets the frame, which has lost its outer VLAN tag."""
    a = x = at = 0
    memory = [0] * 16
    while True:
        code, yes, no, k = program[at]
        at += 1
        match code:
            case 0x01:
                x = k
            case 0x20 | 0x28 | 0x30 | 0x40 | 0x48 | 0x50:
                size = {0x00: 4, 0x08: 2, 0x10: 1}[code & 0x18]
                where = (x if code & 0x40 else 0) + k & WORD
                if where + size > len(frame):
                    return False
                a = int.from_bytes(frame[where : where + size], "big")
            case 0x80:
                a = len(frame)
            case 0x60:
                a = memory[k]
            case 0x61:
                x = memory[k]
            case 0x02:
                memory[k] = a
            case 0x03:
                memory[k] = x
            case 0x07:
                x = a
            case 0x87:
                a = x
            case 0x04:
                a = a + k & WORD
            case 0x0C:
                a = a + x & WORD
            case 0x1C:
                a = a - x & WORD
            case 0x24:
                a = a * k & WORD
            case 0x54:
                a &= k
            case 0x64:
                a = a << k & WORD
            case 0x74:
                a >>= k
            case 0x94:
                a %= k
            case 0xAC:
                a ^= x
            case 0x05:
                at += k
            case 0x15:
                at += yes if a == k else no
            case 0x35:
                at += yes if a >= k else no
            case 0x45:
                at += yes if a & k else no
            case 0x06:
                return k > 0
            case _:
                raise AssertionError(f"code {code:#x}")


def untagged(frame: bytes) -> bytes:
    """As filters see it: the kernel took off the outer VLAN tag."""
    return frame[:12] + frame[16:] if frame[12:14] in (b"\x81\x00", b"\x88\xa8") else frame
