"""Small files that become very large when they are decoded."""

import struct
import zlib


def write_bomb(path, width=50_000, height=50_000, depth=1, colour=0):
    """Writes a PNG of black pixels; about 300 kB by default.

    Args:
        path: the file.
        width: columns.
        height: rows.
        depth: bits of each of a pixel's samples.
        colour: PNG's colour type: 0 grey, 2 RGB, 3 palette.
    """
    samples = 3 if colour == 2 else 1
    row = bytes(1 + -(-width * depth * samples // 8))
    packer, parts = zlib.compressobj(9), []
    for _ in range(height // 100):
        parts.append(packer.compress(row * 100))
    parts.append(packer.flush())
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    palette = [_chunk(b"PLTE", bytes(6))] if colour == 3 else []
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", head)
        + b"".join(palette)
        + _chunk(b"IDAT", b"".join(parts))
        + _chunk(b"IEND", b"")
    )
    return path


def _chunk(kind, content):
    body = kind + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))
