# SPDX-License-Identifier: GPL-3.0-or-later
"""admin: the verbs of administration; what they do is in client.cli.admin."""

from client.cli.admin import depts, organisation, roles, rules, users
from client.cli.grammar import Parser


def declare_admin(parser: Parser) -> None:
    """admin status | user | dept | role | rules | policy"""
    verbs = parser.verbs()
    verbs.add("status", organisation.status, "how the server is")
    users.declare(verbs.group("user", "people and their accounts, devices and sessions"))
    depts.declare(verbs.group("dept", "the tree of departments"))
    roles.declare(verbs.group("role", "what people may do"))
    rules.declare(verbs.group("rules", "who sees and may address whom"))
    organisation.declare_policy(
        verbs.add("policy", organisation.policy, "the rules for messages and passwords")
    )
