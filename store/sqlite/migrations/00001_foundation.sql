-- +goose Up

-- Times are microseconds since 1970 in UTC; NULL where there is none. The large
-- columns stand last, so that reading the others does not touch their pages.

CREATE TABLE webhook_events (
    seq          INTEGER PRIMARY KEY,
    id           TEXT    NOT NULL UNIQUE,
    tenant_id    TEXT    NOT NULL,
    provider     TEXT    NOT NULL,
    source       TEXT    NOT NULL,
    event_type   TEXT    NOT NULL,
    external_id  TEXT    NOT NULL,
    subject      TEXT    NOT NULL,
    status       TEXT    NOT NULL CHECK (status IN ('received', 'processing', 'processed', 'failed', 'ignored')),
    attempts     INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    occurred_at  INTEGER,
    received_at  INTEGER NOT NULL,
    created_at   INTEGER NOT NULL,
    processed_at INTEGER,
    due_at       INTEGER,
    lease_until  INTEGER,
    lease_owner  TEXT,
    error        TEXT    NOT NULL DEFAULT '',
    headers      TEXT    NOT NULL,
    payload      BLOB    NOT NULL,
    UNIQUE (provider, source, external_id)
);

CREATE INDEX webhook_events_by_status ON webhook_events (tenant_id, provider, status);

-- The queue: what waits, by the time at which it may be taken. A row on loan
-- may be taken when its lease ends.
CREATE INDEX webhook_events_due ON webhook_events (coalesce(lease_until, due_at))
    WHERE status IN ('received', 'processing');

-- What a person looks for first.
CREATE INDEX webhook_events_failed ON webhook_events (provider) WHERE status = 'failed';

-- One attempt to hand an event over. The order of the key keeps the attempts of
-- an event together.
CREATE TABLE deliveries (
    id          TEXT    NOT NULL,
    event_id    TEXT    NOT NULL REFERENCES webhook_events (id),
    destination TEXT    NOT NULL,
    attempt     INTEGER NOT NULL,
    state       TEXT    NOT NULL CHECK (state IN ('succeeded', 'retrying', 'failed')),
    status      INTEGER NOT NULL,
    started_at  INTEGER NOT NULL,
    took        INTEGER NOT NULL,
    error       TEXT    NOT NULL,
    PRIMARY KEY (event_id, id)
) WITHOUT ROWID;

CREATE TABLE calls (
    seq             INTEGER PRIMARY KEY,
    id              TEXT    NOT NULL UNIQUE,
    service         TEXT    NOT NULL,
    tenant_id       TEXT    NOT NULL,
    endpoint        TEXT    NOT NULL,
    entry           TEXT    NOT NULL,
    method          TEXT    NOT NULL,
    path            TEXT    NOT NULL,
    effect          TEXT    NOT NULL,
    idempotency_key TEXT    NOT NULL,
    state           TEXT    NOT NULL CHECK (state IN ('running', 'succeeded', 'rejected', 'failed', 'canceled', 'unknown')),
    status          INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    finished_at     INTEGER,
    retry_of        TEXT    NOT NULL,
    failure         TEXT,
    headers         TEXT,
    body            BLOB
);

CREATE INDEX calls_by_state ON calls (service, state);

CREATE TABLE attempts (
    call_id     TEXT    NOT NULL REFERENCES calls (id),
    number      INTEGER NOT NULL,
    started_at  INTEGER NOT NULL,
    took        INTEGER NOT NULL,
    waited      INTEGER NOT NULL,
    status      INTEGER NOT NULL,
    class       TEXT    NOT NULL,
    request_id  TEXT    NOT NULL,
    error       TEXT    NOT NULL,
    retry_after INTEGER NOT NULL,
    sent        INTEGER NOT NULL,
    PRIMARY KEY (call_id, number)
) WITHOUT ROWID;

CREATE TABLE api_keys (
    seq        INTEGER PRIMARY KEY,
    id         TEXT    NOT NULL UNIQUE,
    name       TEXT    NOT NULL,
    scope      TEXT    NOT NULL CHECK (scope IN ('app', 'admin')),
    hash       TEXT    NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    revoked_at INTEGER
);

CREATE TABLE audit_log (
    seq    INTEGER PRIMARY KEY,
    id     TEXT    NOT NULL UNIQUE,
    at     INTEGER NOT NULL,
    actor  TEXT    NOT NULL,
    action TEXT    NOT NULL,
    target TEXT    NOT NULL,
    detail TEXT    NOT NULL
);

-- One row that the readiness check writes, to know that writing works.
CREATE TABLE heartbeat (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    at  INTEGER NOT NULL
);
