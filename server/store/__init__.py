# SPDX-License-Identifier: GPL-3.0-or-later
"""The store: the only room of the server with SQL. Functions take the database first; transactions are the writer's."""
