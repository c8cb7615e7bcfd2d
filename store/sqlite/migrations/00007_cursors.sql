-- +goose Up

-- Tasks that are gone on with from time to time, by one instance at a time:
-- looking for events that never came, renewing subscriptions. The row is the
-- queue.
CREATE TABLE cursors (
    id          TEXT    PRIMARY KEY,
    due_at      INTEGER,
    attempts    INTEGER NOT NULL DEFAULT 0,
    lease_owner TEXT,
    lease_until INTEGER,
    state       TEXT    NOT NULL DEFAULT ''
) WITHOUT ROWID;

CREATE INDEX cursors_due ON cursors (coalesce(lease_until, due_at)) WHERE due_at IS NOT NULL;

-- What we are subscribed to at providers. sealed is a signing secret that the
-- provider gave.
CREATE TABLE subscriptions (
    service     TEXT    NOT NULL,
    external_id TEXT    NOT NULL,
    url         TEXT    NOT NULL,
    resource    TEXT    NOT NULL,
    events      TEXT    NOT NULL,
    state       TEXT    NOT NULL,
    expires_at  INTEGER,
    created_at  INTEGER NOT NULL,
    checked_at  INTEGER NOT NULL,
    error       TEXT    NOT NULL,
    extra       TEXT    NOT NULL,
    sealed      BLOB,
    PRIMARY KEY (service, external_id)
) WITHOUT ROWID;
