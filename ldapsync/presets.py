# SPDX-License-Identifier: GPL-3.0-or-later
"""What each kind of directory brings along: tables as in ldapsync.toml that stand below what the administrator writes."""

from typing import Any, Final

from ldapsync.config import Kind

_MICROSOFT: Final[dict[str, Any]] = {
    "page_size": 1000,
    "has_referrals": True,
    "follow": "dirsync",
    "people": {
        "filter": "(&(objectCategory=person)(objectClass=user)(sAMAccountName=*)"
        "(!(isCriticalSystemObject=TRUE)))",
        "anchor": "objectGUID",
        "login": ["sAMAccountName"],
        "name": ["displayName", "cn"],
        "sort_key": ["msDS-PhoneticDisplayName"],
        "phone": ["telephoneNumber", "mobile"],
        "photo": "thumbnailPhoto",
        "off": ["userAccountControl", "accountExpires"],
    },
    "groups": {"kinds": "(objectClass=group)", "member": ["member"]},
}

PRESETS: Final[dict[Kind, dict[str, Any]]] = {
    Kind.ACTIVE_DIRECTORY: _MICROSOFT,
    Kind.SAMBA: _MICROSOFT,
    Kind.OPENLDAP: {
        "follow": "syncrepl",
        "people": {
            "filter": "(objectClass=inetOrgPerson)",
            "anchor": "entryUUID",
            "photo": "jpegPhoto",
            "off": ["pwdAccountLockedTime", "shadowExpire"],
        },
    },
    Kind.DS389: {
        "follow": "modify_timestamp",
        "people": {
            "filter": "(objectClass=inetOrgPerson)",
            "anchor": "nsUniqueId",
            "photo": "jpegPhoto",
            "off": ["nsAccountLock"],
        },
    },
    Kind.FREEIPA: {
        "follow": "modify_timestamp",
        "people": {
            "filter": "(&(objectClass=inetOrgPerson)(objectClass=ipaObject))",
            "anchor": "ipaUniqueID",
            "photo": "jpegPhoto",
            "off": ["nsAccountLock"],
        },
        "departments": {"sources": ["attribute"], "attribute": "departmentNumber"},
    },
}
"""By kind the options that differ from the defaults of config.py."""


def beneath(kind: Kind, written: dict[str, Any]) -> dict[str, Any]:
    """The table of one directory with the preset's options where the administrator wrote none."""
    return _merged(PRESETS[kind], written)


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = {**below, **above}
    for name in below.keys() & above.keys():
        if isinstance(below[name], dict) and isinstance(above[name], dict):
            merged[name] = _merged(below[name], above[name])
    return merged
