# SPDX-License-Identifier: GPL-3.0-or-later
"""Every limit of the wire, with its unit in the name and its reason behind it.

What a peer can make us remember is bounded by a number on this page. A limit is checked by the
receiver; the sender keeps to it so that it never meets the error.
"""

from typing import Final

# Frames
MAX_FRAME_BYTES: Final = 1 << 20
"""A frame body, client to server, as sent: large enough for any request, too small for 10,000 peers
to fill the memory."""
MAX_SERVER_FRAME_BYTES: Final = 16 << 20
"""A frame body, server to client, as sent: the directory of 100,000 people takes about 6 MB
compressed."""
MAX_GREETING_FRAME_BYTES: Final = 16 << 10
"""A frame body, client to server, before sign-in, as sent and inflated: a stranger gets no more of
our memory than a sign-in needs."""
MAX_INFLATED_BYTES: Final = 64 << 20
"""A compressed body once inflated, server to client: the directory of 100,000 people takes about
30 MB."""
MAX_CLIENT_INFLATED_BYTES: Final = 4 << 20
"""The same, client to server: only large administrative changes are worth compressing."""
COMPRESS_FROM_BYTES: Final = 4 << 10
"""Bodies smaller than this travel plain: compressing a chat message costs more than it saves."""

# Time
GREETING_TIMEOUT_S: Final = 10.0
"""From connecting to the greeting: a peer that connects and says nothing is not kept."""
SIGN_IN_TIMEOUT_S: Final = 120.0
"""From the greeting to a finished sign-in: time to change a first password, not to camp on the port."""
KEEPALIVE_INTERVAL_S: Final = 50.0
"""Silence in either direction after which the client pings: below the 60 s after which common
firewalls forget a connection."""
SERVER_KEEPALIVE_INTERVAL_S: Final = 60.0
"""Silence after which the server pings: the client's ping is due first, so that on a healthy
connection only one side pings."""
DEAD_PEER_S: Final = 25.0
"""Silence after a ping until the peer counts as gone. From a cut cable to notice: at most 75 s at
the client, 85 s at the server."""
REQUEST_TIMEOUT_S: Final = 30.0
"""A request without an answer is given up after this; a slow disk recovers in less."""
GOODBYE_TIMEOUT_S: Final = 5.0
"""From our goodbye to the close: time for the last frames to leave."""

# Flow
MAX_REQUESTS_IN_FLIGHT: Final = 64
"""Unanswered requests per connection: enough to fill a fast link, little to remember."""
MAX_OUTBOX_BYTES: Final = 4 << 20
"""Unsent bytes per session. A reader slower than that is told ``Behind`` and catches up by sync
instead."""
MAX_UNKNOWN_FRAMES: Final = 1000
"""Frames of unknown kind in a row that are skipped before the peer is taken for broken."""
MAX_SENTENCE_CHARS: Final = 500
"""A sentence in an error or goodbye; what the peer sent may be quoted in it, but not at length."""
TYPING_INTERVAL_S: Final = 3.0
"""How often at most a client says that its user is typing in one conversation."""
TYPING_SHOWN_S: Final = 6.0
"""How long "is typing" is shown after it was last said."""

# Numbers
MAX_INTEGER: Final = (1 << 53) - 1
"""Any integer field: fits a signed 64-bit column of every database and a number of JavaScript."""

# Names and texts (characters are Unicode code points)
MAX_NAME_CHARS: Final = 200
"""A person's, department's, group's, device's or role's name; the longest legal names measured stay
below 130."""
MAX_LOGIN_CHARS: Final = 256
"""A login, which may be a user principal name or a mail address (RFC 5321 allows 254)."""
MAX_PASSWORD_CHARS: Final = 1024
"""A password: room for any pass phrase, no room to make the hash expensive."""
MIN_PASSWORD_CHARS: Final = 8
"""A new password, when the organisation's configuration does not ask for more (NIST SP 800-63B)."""
MAX_FIELD_CHARS: Final = 1000
"""Any other short field of a person: mail, phone, title, a custom value."""
MAX_KIND_CHARS: Final = 40
"""A word from a list that may grow: the kind of a device or span, the language of a code block."""
MIN_TOKEN_BYTES: Final = 32
"""A session token: 256 bits that nobody guesses."""
MAX_TOKEN_BYTES: Final = 64
"""A session token: room for twice that, for whoever wants it."""
MAX_CAPABILITIES: Final = 64
"""Capabilities that a greeting names."""
MAX_CUSTOM_FIELDS: Final = 32
"""Custom fields of one person."""
MAX_STATUS_CHARS: Final = 140
"""A status text: one line in a list."""
MAX_TEXT_CHARS: Final = 20_000
"""A message: about ten printed pages. Longer texts are files."""
MAX_SPANS: Final = 500
"""Formatted spans of one message."""
MAX_MENTIONS: Final = 100
"""People mentioned in one message by name; beyond that, @all is meant."""
MAX_ATTACHMENTS: Final = 50
"""Files and images referenced by one message."""
MAX_MEDIA_TYPE_CHARS: Final = 100
"""The media type of an attachment (RFC 6838 recommends 64 for each of its two parts)."""
MAX_DIGEST_BYTES: Final = 64
"""The digest of an attachment: BLAKE3 takes 32, and no digest in use takes more than 64."""
MAX_REACTION_CHARS: Final = 16
"""A reaction: one emoji with its joiners and modifiers."""
MAX_REACTIONS_PER_MESSAGE: Final = 40
"""Different reactions on one message; the row under a message has no room for more."""
MAX_CONTENT_BYTES: Final = 128 << 10
"""The encoded content of one message: MAX_TEXT_CHARS of four bytes, with its spans."""

# Lists
MAX_GROUP_MEMBERS: Final = 5_000
"""Members of a group. Larger audiences are departments or announcements."""
MAX_MEMBERS_PER_REQUEST: Final = 1_000
"""People named in one membership change."""
MAX_HISTORY_EVENTS: Final = 200
"""Events in one page of history; fewer when their contents exceed MAX_HISTORY_BYTES."""
MAX_HISTORY_BYTES: Final = 512 << 10
"""Event contents in one page of history, so that a page always fits one frame."""
MAX_SYNC_CHATS: Final = 100
"""Conversations in one page of sync."""
MAX_SYNC_EVENTS: Final = 20
"""Newest events that come with each conversation in sync: a screenful, so that opening a chat needs
no request."""
MAX_SYNC_BYTES: Final = 4 << 20
"""Event contents in one page of sync; beyond it conversations come with fewer events, so that a page
always fits one frame."""
MAX_SYNC_CURSOR_BYTES: Final = 256
"""The cursor from one page of sync to the next."""
MAX_PUSHED_EVENTS: Final = 64
"""Events in one push."""
MAX_CURSORS_PER_MESSAGE: Final = 500
"""Cursors that one message may carry."""
MAX_RECEIPT_MEMBERS: Final = 200
"""Members up to which receipts are pushed to everyone; in larger conversations they are asked
for."""
MAX_WATCHED_USERS: Final = 2_000
"""People whose presence one session watches: what fits on screens, with contacts and open
departments."""
MAX_WATCHED_DEPARTMENTS: Final = 100
"""Departments whose people's presence one session watches."""
MAX_FOUND_PEOPLE: Final = 100
"""People in one answer to a search."""
MAX_CHANGES_PER_REQUEST: Final = 5_000
"""Directory changes in one request: one transaction that others don't have to wait for."""
MAX_ADMIN_PAGE: Final = 10_000
"""People in one page of the administrators' directory."""
MAX_VISIBILITY_RULES: Final = 200
"""Visibility rules; each is tried for each pair of people until one matches."""
MAX_PERMISSIONS_PER_ROLE: Final = 100
"""Permissions that one role names; several times as many as there are."""
MAX_DEVICES_PER_USER: Final = 16
"""Devices that stay signed in for one user."""
MAX_DEPARTMENT_DEPTH: Final = 32
"""Levels of the department tree."""
MAX_PLACES_PER_PERSON: Final = 50
"""Departments in which one person sits."""
MAX_CSR_BYTES: Final = 8 << 10
"""A certificate signing request."""
MAX_DRAFT_CHARS: Final = MAX_TEXT_CHARS
"""A draft is a message not sent yet."""

# Synchronisation with a directory
MAX_PHOTO_BYTES: Final = 64 << 10
"""A person's photo, as JPEG: 256 by 256 pixels take a third of it."""
PHOTO_DIGEST_BYTES: Final = 32
"""The digest of a photo: SHA-256."""
MAX_FOLLOWED_MEMBERS: Final = 400_000
"""Members of all groups that follow a directory, together: they are listed in one frame."""
MAX_RUN_CHANGES: Final = 2_000_000
"""Changes in one run: an organisation of 500,000 people is set up in one."""
MAX_RUN_COUNTS: Final = 64
"""Kinds of changes that a run counts."""
MAX_MARKS: Final = 16
"""Marks that a source keeps."""
MAX_MARK_BYTES: Final = 16 << 10
"""One mark: the cookie of a directory with hundreds of servers."""
MAX_RUN_PAGE: Final = 100
"""Runs in one page of the history."""
MAX_CONFLICTS: Final = 1_000
"""Conflicts that are named when a run can't be undone."""
RUN_TIMEOUT_S: Final = 600.0
"""Silence after which a run that was begun is abandoned: others wait for it."""
