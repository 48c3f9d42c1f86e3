# SPDX-License-Identifier: GPL-3.0-or-later
"""Portraits: told from other files, and re-encoded as small JPEGs that carry nothing but the picture."""

import hashlib
import io
import warnings
from collections.abc import Iterable, Sequence
from typing import Final

from PIL import Image, ImageOps, UnidentifiedImageError

from ldapsync import values
from ldapsync.config import DirectoryConfig
from ldapsync.directory import Directory
from ldapsync.names import any_of, equals
from ldapsync.wanted import Anchor, Photo
from protocol.limits import MAX_PHOTO_BYTES

MAX_SOURCE_BYTES: Final = 8 << 20
"""A larger file is not looked at: directories hold portraits of 100 kB, cameras make pictures of 8 MB."""
MAX_SOURCE_PIXELS: Final = 50_000_000
"""A few hundred octets can claim to be a picture that fills the memory; more pixels no camera in an office makes."""
EDGE_PX: Final = 320
"""The longer edge: sharp at the largest size at which a person is shown, on a screen of double density."""
_QUALITIES: Final = (85, 75, 60, 40)
_FORMATS: Final = ("JPEG", "PNG", "GIF", "BMP", "WEBP")
_ASKED_AT_ONCE: Final = 20
"""Portraits in one answer: a few megabytes."""
_BEGINNINGS: Final = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"BM", b"RIFF")


def is_picture(octets: bytes) -> bool:
    """Whether this begins like a picture that can be taken."""
    return octets.startswith(_BEGINNINGS)


def chosen(files: Sequence[bytes]) -> tuple[bytes, bytes] | None:
    """Digest and content of the portrait among the files of an entry; of several always the same one, whatever their order."""
    pictures = [each for each in files if len(each) <= MAX_SOURCE_BYTES and is_picture(each)]
    return min(((hashlib.sha256(each).digest(), each) for each in pictures), default=None)


def fetch(
    directory: Directory, config: DirectoryConfig, anchors: Iterable[Anchor]
) -> dict[Anchor, Photo]:
    """The pictures of people whose digest changed. Who has none now is not in it. Raises ReadFailed and Unreachable."""
    name, portrait = config.people.anchor, config.people.photo
    wanted = list(anchors) if portrait else []
    photos: dict[Anchor, Photo] = {}
    for at in range(0, len(wanted), _ASKED_AT_ONCE):
        some = [values.anchor_octets(name, each) for each in wanted[at : at + _ASKED_AT_ONCE]]
        asked = any_of(*(equals(name, each) for each in some))
        for entry in directory.search(config.base, asked, [name, portrait]):
            anchor = values.anchor_of(name, entry.attributes.get(name.lower(), [b""])[0])
            found = chosen(entry.attributes.get(portrait.lower(), []))
            if anchor is not None and found is not None:
                photos[anchor] = Photo(found[0], reencoded(found[1]))
    return photos


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
