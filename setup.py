# SPDX-License-Identifier: GPL-3.0-or-later
"""What Lanyard is made of when it is installed: packages, programs, and the bounds of what it stands on.

The exact versions of a development environment are in constraints.txt; `dev.py` installs by both.
"""

from setuptools import find_packages, setup

ROOMS = ["protocol", "server", "client", "p2p", "remote", "ldapsync", "installer"]

# Lower bound: what we have run. Upper bound: the next version that may break us.
REQUIRES = [
    "argon2-cffi>=25.1,<26",
    "cryptography>=48,<51",
    "dnspython>=2.8,<3",
    "ifaddr>=0.2,<0.3",
    "msgspec>=0.20,<0.23",
    "peewee>=4.5,<5",
    "platformdirs>=4.5,<5",
    "twisted>=26.4,<27",
    "wcwidth>=0.3,<0.10",
    "zeroconf>=0.150,<0.160",  # before 0.150 any neighbour can fill its memory
    "zope.interface>=7,<9",
    "zstandard>=0.25,<0.26",
]

# Rooms that are not built yet; their bounds stand so that nothing else is chosen against them.
DESKTOP = [
    "mss>=10.1,<11",
    "pillow>=12,<14",
    "pyqt6>=6.10,<6.12",  # the Qt libraries that PyQt6 6.12 asks for are not published
    "pyqt6-qt6>=6.10,<6.12",
]
REMOTE = ["aiortc>=1.14,<2", "mss>=10.1,<11", "pillow>=12,<14"]
LDAP = ["keyring>=25,<26", "ldap3>=2.9.1,<2.10", "pillow>=12,<14", "pyasn1>=0.6,<0.7"]

TEST = [
    "hypothesis>=6.150,<7",
    "import-linter>=2.14,<3",
    "mypy>=2,<3",
    "packaging>=25,<28",
    "pytest>=9,<10",
    "pytest-timeout>=2.4,<3",
    "ruff>=0.17,<0.18",
    "types-peewee>=4.5,<5",
]

setup(
    name="lanyard",
    version="0.1.0",
    description="The messenger of an office, inside the organisation's own network",
    license_expression="GPL-3.0-or-later",
    license_files=["LICENSE"],
    python_requires=">=3.11",
    package_dir={"": "."},
    packages=find_packages(include=[pattern for room in ROOMS for pattern in (room, f"{room}.*")]),
    package_data={room: ["py.typed", "**/*.sql"] for room in ROOMS},
    install_requires=REQUIRES,
    extras_require={"test": TEST, "desktop": DESKTOP, "remote": REMOTE, "ldap": LDAP},
    entry_points={
        "console_scripts": [
            "lanyard-server = server.main:main",
            "lanyard-cli = client.cli.main:main",
            "lanyard-ldapsync = ldapsync.main:main",
        ]
    },
)
