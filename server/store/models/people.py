# SPDX-License-Identifier: GPL-3.0-or-later
"""People, departments, groups, roles, visibility, devices and settings, as in migrations/0001_people.sql and 0003_sync.sql."""

from peewee import (
    BlobField,
    BooleanField,
    CompositeKey,
    IntegerField,
    Model,
    TextField,
)


class Meta(Model):
    """Single values about the store, by name."""

    key = TextField(primary_key=True)
    value = BlobField()


class Department(Model):
    """A department of the tree."""

    id = BlobField(primary_key=True)
    parent = BlobField(null=True)
    name = TextField()
    other_name = TextField(default="")
    sort_order = IntegerField(default=0)
    has_conversation = BooleanField(default=False)
    source = TextField(default="")
    anchor = TextField(default="")
    version = IntegerField()


class RemovedDepartment(Model):
    """A department that is gone, with the version that removed it."""

    id = BlobField(primary_key=True)
    version = IntegerField()

    class Meta:
        table_name = "removed_department"


class Person(Model):
    """A person, with the hash of the password."""

    key = IntegerField(primary_key=True)
    id = BlobField(unique=True)
    login = TextField()
    login_key = TextField(unique=True)
    name = TextField()
    other_name = TextField(default="")
    sort_key = TextField(default="")
    email = TextField(default="")
    phone = TextField(default="")
    custom = TextField(default="{}")
    is_disabled = BooleanField(default=False)
    is_bot = BooleanField(default=False)
    source = TextField(default="")
    anchor = TextField(default="")
    password_hash = TextField(default="")
    must_change_password = BooleanField(default=False)
    version = IntegerField()
    moved = IntegerField()
    created = IntegerField()
    manager = BlobField(null=True)
    is_off_at_source = BooleanField(default=False)
    photo = BlobField(default=b"")
    portrait = BlobField(default=b"")


class RemovedPerson(Model):
    """A person who was taken out, with the versions that removed and that had created them."""

    id = BlobField(primary_key=True)
    version = IntegerField()
    created = IntegerField()

    class Meta:
        table_name = "removed_person"


class FollowedGroup(Model):
    """A group whose members follow another directory."""

    id = BlobField(primary_key=True)
    name = TextField()
    members = BlobField()
    source = TextField(default="")
    anchor = TextField(default="")
    version = IntegerField()

    class Meta:
        table_name = "followed_group"


class Place(Model):
    """A person's seat in a department."""

    person = IntegerField()
    position = IntegerField()
    department = BlobField()
    title = TextField(default="")
    sort_order = IntegerField(default=0)
    is_head = BooleanField(default=False)

    class Meta:
        primary_key = CompositeKey("person", "position")


class Role(Model):
    """A role."""

    id = BlobField(primary_key=True)
    name = TextField()
    permissions = TextField(default="")
    is_for_everyone = BooleanField(default=False)


class RoleGrant(Model):
    """A role that someone holds; an empty department means everywhere."""

    person = IntegerField()
    role = BlobField()
    department = BlobField(default=b"")
    source = TextField(default="")

    class Meta:
        table_name = "role_grant"
        primary_key = CompositeKey("person", "role", "department")


class VisibilityRule(Model):
    """A visibility rule, by its place in the order."""

    position = IntegerField(primary_key=True)
    viewers = BlobField(null=True)
    viewers_role = BlobField(null=True)
    targets = BlobField(null=True)
    targets_role = BlobField(null=True)
    effect = TextField()
    spares_insiders = BooleanField()

    class Meta:
        table_name = "visibility_rule"


class Device(Model):
    """A device on which someone signed in."""

    person = IntegerField()
    id = BlobField()
    name = TextField()
    kind = TextField()
    platform = TextField(default="")
    software = TextField(default="")
    address = TextField(default="")
    token_hash = BlobField(null=True)
    token_until_ms = IntegerField(default=0)
    certificate_serial = BlobField(null=True)
    previous_serial = BlobField(null=True)
    certificate_until_ms = IntegerField(default=0)
    created_ms = IntegerField()
    last_seen_ms = IntegerField()

    class Meta:
        primary_key = CompositeKey("person", "id")


class PresenceSetting(Model):
    """What a user set by hand."""

    person = IntegerField(primary_key=True)
    state = TextField(default="")
    status = TextField(default="")
    status_until_ms = IntegerField(default=0)

    class Meta:
        table_name = "presence_setting"
