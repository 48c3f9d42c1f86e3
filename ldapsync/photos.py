# SPDX-License-Identifier: GPL-3.0-or-later
"""Portraits: told from other files, and re-encoded as small JPEGs that carry nothing but the picture."""

import hashlib
import io
import warnings
from collections.abc import Sequence
from typing import Final

from PIL import Image, ImageOps, UnidentifiedImageError

from protocol.limits import MAX_PHOTO_BYTES

MAX_SOURCE_BYTES: Final = 8 << 20
"""A larger file is not looked at: directories hold portraits of 100 kB, cameras make pictures of 8 MB."""
MAX_SOURCE_PIXELS: Final = 50_000_000
"""A few hundred octets can claim to be a picture that fills the memory; more pixels no camera in an office makes."""
EDGE_PX: Final = 320
"""The longer edge: sharp at the largest size at which a person is shown, on a screen of double density."""
_QUALITIES: Final = (85, 75, 60, 40)
_FORMATS: Final = ("JPEG", "PNG", "GIF", "BMP", "WEBP")
_BEGINNINGS: Final = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"BM", b"RIFF")


def is_picture(octets: bytes) -> bool:
    """Whether this begins like a picture that can be taken."""
    return octets.startswith(_BEGINNINGS)


def chosen(files: Sequence[bytes]) -> tuple[bytes, bytes] | None:
    """Digest and content of the portrait among the files of an entry; of several always the same one, whatever their order."""
    pictures = [each for each in files if len(each) <= MAX_SOURCE_BYTES and is_picture(each)]
    return min(((hashlib.sha256(each).digest(), each) for each in pictures), default=None)


def reencoded(octets: bytes) -> bytes:
    """The portrait as a small JPEG without metadata; empty when it is no picture, or one that is not to be trusted."""
    if len(octets) > MAX_SOURCE_BYTES:
        return b""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(octets), formats=_FORMATS) as image:
                if image.width * image.height > MAX_SOURCE_PIXELS:
                    return b""
                image.draft("RGB", (EDGE_PX, EDGE_PX))
                return _small(image)
    except (
        OSError, ValueError, SyntaxError, EOFError, IndexError, TypeError, UnidentifiedImageError,
        Image.DecompressionBombError, Image.DecompressionBombWarning,
    ):  # fmt: skip
        # What Pillow raises for broken files is not one kind of error.
        return b""


def _small(image: Image.Image) -> bytes:
    upright = ImageOps.exif_transpose(image)
    if upright.mode in {"RGBA", "LA", "P", "PA"}:
        rgba = upright.convert("RGBA")
        upright = Image.new("RGB", rgba.size, "white")
        upright.paste(rgba, mask=rgba.getchannel("A"))
    small = upright.convert("RGB")
    small.thumbnail((EDGE_PX, EDGE_PX))
    for quality in _QUALITIES:
        out = io.BytesIO()
        small.save(out, "JPEG", quality=quality, optimize=True)
        if out.tell() <= MAX_PHOTO_BYTES:
            return out.getvalue()
    return b""
