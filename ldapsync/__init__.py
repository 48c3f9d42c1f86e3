# SPDX-License-Identifier: GPL-3.0-or-later
"""From a directory (LDAP, Active Directory) to the org tree of a Lanyard server: readable before it happens, undoable after."""
