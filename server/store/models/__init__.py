# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables as peewee models, for queries. Bound to no database: run a query with ``.execute(db)``.

The tables themselves are made by the numbered files in migrations/.
"""
