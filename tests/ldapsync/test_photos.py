# SPDX-License-Identifier: GPL-3.0-or-later
"""Portraits: made small, stripped of all but the picture, and refused when they are not to be trusted."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import pytest
from PIL import Image

from ldapsync import photos
from protocol.limits import MAX_PHOTO_BYTES
from tests.support.ldap_company import portrait


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "WEBP"])
def test_a_picture_of_any_common_kind_becomes_a_small_jpeg(kind: str) -> None:
    noise = Image.effect_noise((900, 600), 80).convert("RGB")
    made = photos.reencoded(encoded(noise, kind))
    with Image.open(io.BytesIO(made)) as image:
        assert (image.format, image.size) == ("JPEG", (photos.EDGE_PX, 213))
    assert len(made) <= MAX_PHOTO_BYTES


def test_what_is_transparent_becomes_white_and_where_it_was_taken_is_forgotten() -> None:
    made = photos.reencoded(encoded(Image.new("RGBA", (50, 50), (0, 0, 0, 0)), "PNG"))
    with Image.open(io.BytesIO(made)) as image:
        assert image.getpixel((25, 25)) == (255, 255, 255)
    exif = Image.Exif()
    exif[0x010E] = "a secret place"
    exif[0x0112] = 6  # lies on its side
    made = photos.reencoded(encoded(Image.new("RGB", (40, 20), "red"), "JPEG", exif=exif))
    assert b"secret" not in made
    with Image.open(io.BytesIO(made)) as image:
        assert image.size == (20, 40)


def bomb() -> bytes:
    """A PNG of a kilobyte that says that it is 20,000 x 20,000."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(1000)))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"no picture",
        portrait(1)[:400],
        b"\xff\xd8\xff" + bytes(100),
        bomb(),
        b"BM" + b"\xff" * 60,
    ],
)
def test_what_is_no_picture_or_a_trap(octets: bytes) -> None:
    assert photos.reencoded(octets) == b""


def test_of_several_the_choice_is_the_same_in_any_order() -> None:
    files = [
        portrait(1),
        portrait(2),
        b"no picture",
        b"\xff\xd8\xff" + bytes(photos.MAX_SOURCE_BYTES),
    ]
    found = photos.chosen(files)
    assert found is not None
    assert found == photos.chosen(files[::-1])
    assert found[1] in files[:2]
    assert photos.chosen([b"no picture"]) is None
