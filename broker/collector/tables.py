"""The tables of the store.

One definition for SQLite and PostgreSQL; the migrations make them, a test compares the two.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)
Serial = BigInteger().with_variant(Integer(), "sqlite")

events = Table(
    "events",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("site", String(40), nullable=False),
    Column("node", String(40), nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("rule", String(40), nullable=False),
    Column("outcome", String(12), nullable=False),
    Column("time_s", BigInteger, nullable=False),  # start of the bin, seconds UTC
    Column("time_sigma_s", Float),
    Column("place", String(40), nullable=False),
    Column("road_user", String(12), nullable=False),
    Column("road_user2", String(12)),
    Column("signal_group", String(40)),
    Column("signal_state", String(16)),
    Column("signal_source", String(12)),
    Column("measures", JSON, nullable=False),
    Column("clip", String(64)),
    Column("detector", String(40), nullable=False),
    Column("software", String(40), nullable=False),
    Column("caused_by", String(36)),
    # What the queue is ordered and told apart by (severity.py, deciding.py); reckoned, never told by a node.
    Column("severity", Integer, nullable=False, server_default="0"),
    Column("urgency", Integer, nullable=False, server_default="0"),  # smaller is sooner
    Column("tab", String(8), nullable=False, server_default="open"),  # open, or the verdict
    Column("wants", String(8), nullable=False, server_default="first"),  # which look is next, "" for none
    Column("second", Integer, nullable=False, server_default="0"),  # 1: two people have to agree
    Column("verdict", String(8)),  # what counts
    Index("ix_events_tab", "tab", "urgency", "id"),
    Index("ix_events_site_tab", "site", "tab", "urgency", "id"),
    Index("ix_events_rule_tab", "site", "rule", "tab", "urgency", "id"),
    Index("ix_events_queue", "time_s", "id"),
    # What stands decided is counted along this.
    Index("ix_events_counted", "site", "rule", "place", "road_user", "verdict"),
    Index("ix_events_clip", "clip"),
    # What is published of a site is counted from this alone, without the rows.
    Index("ix_events_published", "site", "time_s", "rule", "place", "road_user", "verdict"),
)

counts = Table(
    "counts",
    metadata,
    # The number is part of the key: a node that starts again within a quarter of an hour tells the rest.
    Column("site", String(40), primary_key=True),
    Column("node", String(40), primary_key=True),
    Column("start_s", BigInteger, primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("place", String(40), primary_key=True),
    Column("road_user", String(12), primary_key=True),
    Column("count", BigInteger, nullable=False),
    Index("ix_counts_place", "site", "place", "road_user", "start_s", "count"),
)

blobs = Table(
    "blobs",
    metadata,
    Column("hash", String(64), primary_key=True),
    Column("kind", String(8), nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("stored_s", BigInteger, nullable=False),
    Column("plate", String(64)),  # what a clip is drawn on
    CheckConstraint("kind IN ('clip', 'plate')", name="kind"),
    Index("ix_blobs_stored", "kind", "stored_s"),
)

decisions = Table(
    "decisions",
    metadata,
    Column("n", Serial, primary_key=True, autoincrement=True),
    Column("event", String(36), nullable=False),  # no foreign key: decisions outlive the event's row
    Column("verdict", String(8), nullable=False),
    # An undo is a decision too; each takes back one other, once. Nothing is ever overwritten.
    Column("undoes", Serial, ForeignKey("decisions.n"), unique=True),
    Column("decided_s", BigInteger, nullable=False),
    Column("reviewer", String(40), nullable=False),
    Column("reason", String(40)),
    Column("purpose", String(8)),  # first, second, third, recheck
    Column("took_s", Integer),  # from opening the event to deciding; None where nobody measured
    CheckConstraint("verdict IN ('confirm', 'reject', 'unclear', 'undo')", name="verdict"),
    CheckConstraint("(verdict = 'undo') = (undoes IS NOT NULL)", name="undo"),
    Index("ix_decisions_event", "event", "n"),
    Index("ix_decisions_purpose", "purpose", "event"),
)

# What was refused, and why. Its payload is not kept: it may hold what no store of ours may hold. The hash
# finds it again at the node, whose outbox keeps whatever has no receipt.
dead_letters = Table(
    "dead_letters",
    metadata,
    Column("hash", String(64), primary_key=True),
    Column("topic", String(120), primary_key=True),
    Column("reason", String(400), nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("first_s", BigInteger, nullable=False),
    Column("last_s", BigInteger, nullable=False),
    Column("times", BigInteger, nullable=False),
)

nodes = Table(
    "nodes",
    metadata,
    Column("site", String(40), primary_key=True),
    Column("node", String(40), primary_key=True),
    Column("status", JSON, nullable=False),
    Column("heard_s", BigInteger, nullable=False),
)

# Sequence numbers stored so far, as runs without a gap.
runs = Table(
    "runs",
    metadata,
    Column("site", String(40), primary_key=True),
    Column("node", String(40), primary_key=True),
    Column("first", BigInteger, primary_key=True),
    Column("last", BigInteger, nullable=False),
)

# Numbers with which a node's outboxes began: nobody has given what lies before the first of a new outbox.
begun = Table(
    "begun",
    metadata,
    Column("site", String(40), primary_key=True),
    Column("node", String(40), primary_key=True),
    Column("first", BigInteger, primary_key=True),
)

# Runs of numbers that a node gave, of messages that will not arrive: given up for room or quarantined there.
given_up = Table(
    "given_up",
    metadata,
    Column("site", String(40), primary_key=True),
    Column("node", String(40), primary_key=True),
    Column("first", BigInteger, primary_key=True),
    Column("last", BigInteger, nullable=False),
)

# What is left of events whose row has gone: how many of each, by month, and what became of them.
retired = Table(
    "retired",
    metadata,
    Column("site", String(40), primary_key=True),
    Column("place", String(40), primary_key=True),
    Column("rule", String(40), primary_key=True),
    Column("road_user", String(12), primary_key=True),
    Column("month_s", BigInteger, primary_key=True),  # its first instant, seconds UTC
    Column("verdict", String(10), primary_key=True),  # confirm, reject, unclear or undecided
    # Six hours of the site's day; empty where the site's time zone was not known.
    Column("day_part", String(10), primary_key=True, server_default=""),
    Column("count", BigInteger, nullable=False),
)

# What is left of exposure whose quarters of an hour have gone.
retired_counts = Table(
    "retired_counts",
    metadata,
    Column("site", String(40), primary_key=True),
    Column("place", String(40), primary_key=True),
    Column("road_user", String(12), primary_key=True),
    Column("month_s", BigInteger, primary_key=True),
    Column("day_part", String(10), primary_key=True),
    Column("count", BigInteger, nullable=False),
)

# A site as it is published: its places and its time zone (publication.places.Plan).
plans = Table(
    "plans",
    metadata,
    Column("site", String(40), primary_key=True),
    Column("plan", Text, nullable=False),
    Column("updated_s", BigInteger, nullable=False),
)

# What has been published, for ever and word for word. A rule has one publication a period at a site.
publications = Table(
    "publications",
    metadata,
    Column("n", Serial, primary_key=True, autoincrement=True),
    Column("site", String(40), nullable=False),
    Column("rule", String(40), nullable=False),
    Column("kind", String(10), nullable=False),
    Column("start", String(10), nullable=False),  # first day, and the first day after
    Column("end", String(10), nullable=False),
    Column("record", Text, nullable=False),
    Column("hash", String(64), nullable=False),  # of the record and the hash before it
    Column("published_s", BigInteger, nullable=False),
    Column("published_by", String(80), nullable=False),
    Column("through", BigInteger, nullable=False),  # the last decision there was
    UniqueConstraint("site", "rule", "start", name="uq_publications_start"),
)

# The true counts behind a publication, which `nearmiss report recount` counts again. Never published.
publication_counts = Table(
    "publication_counts",
    metadata,
    Column("n", Serial, primary_key=True, autoincrement=True),
    Column("publication", BigInteger, nullable=False),
    Column("place", String(40), nullable=False),
    Column("road_user", String(12), nullable=False),
    Column("day_part", String(10), nullable=False),
    Column("verdict", String(10), nullable=False),
    Column("counted", BigInteger, nullable=False),  # of rows, each with its decision
    Column("retired", BigInteger, nullable=False),  # of rows that had become aggregates by then
    Index("ix_publication_counts_publication", "publication"),
)

publication_decisions = Table(
    "publication_decisions",
    metadata,
    Column("counted", BigInteger, primary_key=True),  # publication_counts.n
    Column("decision", BigInteger, primary_key=True),
)

# Clips kept to 30 days, each once (holds.py).
holds = Table(
    "holds",
    metadata,
    Column("clip", String(64), primary_key=True),
    Column("reason", String(20), nullable=False),
    Column("actor", String(80), nullable=False),
    Column("held_s", BigInteger, nullable=False),
)

# What a person said of a plate with a picture; until then nobody else sees it (plates.py).
plate_states = Table(
    "plate_states",
    metadata,
    Column("hash", String(64), primary_key=True),
    Column("site", String(40), nullable=False),
    Column("node", String(40), nullable=False),
    Column("state", String(8), nullable=False),
    Column("instead", String(64)),  # what clips that name this one are drawn on
    Column("actor", String(80)),
    Column("came_s", BigInteger, nullable=False),
    Column("decided_s", BigInteger),
    CheckConstraint("state IN ('pending', 'approved', 'painted', 'refused')", name="state"),
    Index("ix_plate_states_site", "site", "state"),
)

# When each collector swept last, and why it could not.
sweeps = Table(
    "sweeps",
    metadata,
    Column("collector", String(40), primary_key=True),
    Column("tried_s", BigInteger, nullable=False),
    Column("swept_s", BigInteger),
    Column("error", String(200)),
)

# What the sweeper deleted, and why.
proofs = Table(
    "proofs",
    metadata,
    Column("n", Serial, primary_key=True, autoincrement=True),
    Column("swept_s", BigInteger, nullable=False),
    Column("what", String(24), nullable=False),
    Column("why", String(80), nullable=False),
    Column("deleted", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
)

# Who did what, each row sealed by the hash of the one before (audit.py); `n` is given by the chain itself.
audit = Table(
    "audit",
    metadata,
    Column("n", Serial, primary_key=True, autoincrement=False),
    Column("at_s", BigInteger, nullable=False),
    Column("actor", String(80), nullable=False),
    Column("action", String(24), nullable=False),
    Column("subject", String(200), nullable=False),
    Column("detail", Text, nullable=False),  # JSON as text: the bytes that were hashed
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    Index("ix_audit_subject", "subject", "n"),
    Index("ix_audit_at_s", "at_s", "n"),
)

audit_ends = Table(
    "audit_ends",
    metadata,
    Column("part", String(6), primary_key=True),  # anchor, head
    Column("n", BigInteger, nullable=False),
    Column("hash", String(64), nullable=False),
)

# Who may sign in. A name is a name at work; nothing else about a person is kept.
accounts = Table(
    "accounts",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("password", String(200)),  # argon2id; None: signs in by the identity provider, or not at all
    Column("subject", String(255), unique=True),  # the identity provider's `sub`, and which provider's
    Column("issuer", String(300)),
    Column("created_s", BigInteger, nullable=False),
    Column("disabled_s", BigInteger),
)

roles = Table(
    "roles",
    metadata,
    Column("account", String(32), ForeignKey("accounts.name"), primary_key=True),
    Column("site", String(40), primary_key=True),  # "*": every site
    Column("role", String(8), nullable=False),
    CheckConstraint("role IN ('viewer', 'reviewer', 'admin')", name="role"),
)

sessions = Table(
    "sessions",
    metadata,
    Column("token", String(64), primary_key=True),  # sha256: whoever reads the store signs in as nobody
    Column("account", String(32), ForeignKey("accounts.name"), nullable=False),
    Column("created_s", BigInteger, nullable=False),
    Column("seen_s", BigInteger, nullable=False),
    Index("ix_sessions_account", "account"),
)

# A publication on its way to a webhook; what is dead is sent again by hand (nearmiss webhooks redeliver).
deliveries = Table(
    "deliveries",
    metadata,
    Column("n", Serial, primary_key=True, autoincrement=True),
    Column("publication", BigInteger, nullable=False),
    Column("webhook", String(40), nullable=False),
    Column("state", String(10), nullable=False),
    Column("tries", Integer, nullable=False),
    Column("next_s", BigInteger, nullable=False),  # when it is due
    Column("status", Integer),  # the last answer
    Column("reason", String(80), nullable=False),
    CheckConstraint("state IN ('queued', 'delivered', 'dead')", name="state"),
    UniqueConstraint("publication", "webhook", name="uq_deliveries_webhook"),
    Index("ix_deliveries_due", "state", "next_s"),
)

# Who looks at an event just now, so that no two do unknowingly.
claims = Table(
    "claims",
    metadata,
    Column("event", String(36), primary_key=True),
    Column("reviewer", String(40), nullable=False),
    Column("since_s", BigInteger, nullable=False),
    Column("until_s", BigInteger, nullable=False),
)

# Decided events that come up once more, unmarked, to see whether the same is decided again.
rechecks = Table(
    "rechecks",
    metadata,
    Column("event", String(36), primary_key=True),
    Column("due_s", BigInteger, nullable=False),
    Index("ix_rechecks_due_s", "due_s"),
)

# Numbers drawn once per store; which events get a second look follows from one of them.
secrets = Table(
    "secrets",
    metadata,
    Column("name", String(24), primary_key=True),
    Column("value", String(64), nullable=False),
)
