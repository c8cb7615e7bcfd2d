-- +goose Up

-- Calls become a queue. SQLite can't change a CHECK, so both tables are made
-- anew; renaming the first takes the reference of the second along.

CREATE TABLE calls_new (
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
    state           TEXT    NOT NULL CHECK (state IN ('running', 'queued', 'succeeded', 'rejected', 'failed', 'canceled', 'unknown')),
    status          INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    finished_at     INTEGER,
    retry_of        TEXT    NOT NULL,
    async           INTEGER NOT NULL DEFAULT 0,
    priority        INTEGER NOT NULL DEFAULT 0,
    due_at          INTEGER,
    expires_at      INTEGER,
    lease_until     INTEGER,
    lease_owner     TEXT,
    loans           INTEGER NOT NULL DEFAULT 0 CHECK (loans >= 0),
    in_doubt        INTEGER NOT NULL DEFAULT 0,
    retried_after   INTEGER NOT NULL DEFAULT 0,
    kept_as         TEXT    NOT NULL DEFAULT '',
    job_id          TEXT    NOT NULL DEFAULT '',
    callback        TEXT    NOT NULL DEFAULT '',
    answer_until    INTEGER,
    failure         TEXT,
    headers         TEXT,
    body            BLOB,
    answer          TEXT,
    answer_body     BLOB
);

CREATE TABLE attempts_new (
    call_id     TEXT    NOT NULL REFERENCES calls_new (id),
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

INSERT INTO calls_new (seq, id, service, tenant_id, endpoint, entry, method, path, effect, idempotency_key, state, status, created_at, finished_at, retry_of, failure, headers, body)
SELECT seq, id, service, tenant_id, endpoint, entry, method, path, effect, idempotency_key, state, status, created_at, finished_at, retry_of, failure, headers, body
FROM calls;

INSERT INTO attempts_new SELECT call_id, number, started_at, took, waited, status, class, request_id, error, retry_after, sent FROM attempts;

DROP TABLE attempts;
DROP TABLE calls;
ALTER TABLE calls_new RENAME TO calls;
ALTER TABLE attempts_new RENAME TO attempts;

CREATE INDEX calls_by_state ON calls (service, state);

-- The queue, by the time at which a row may be taken: when it is due, or when
-- its lease ends.
CREATE INDEX calls_due ON calls (coalesce(lease_until, due_at))
    WHERE state IN ('queued', 'running') AND due_at IS NOT NULL;

-- The same by lane: the calls of one tenant to one service with one priority.
CREATE INDEX calls_lanes ON calls (service, tenant_id, priority, coalesce(lease_until, due_at))
    WHERE state IN ('queued', 'running') AND due_at IS NOT NULL;

CREATE INDEX calls_by_job ON calls (job_id) WHERE job_id <> '';

CREATE INDEX calls_answered ON calls (answer_until) WHERE answer_until IS NOT NULL;

-- Many kept calls that a person put back into the queue. Those at or below the
-- position are still to be looked at; 0 when all were.
CREATE TABLE jobs (
    seq          INTEGER PRIMARY KEY,
    id           TEXT    NOT NULL UNIQUE,
    service      TEXT    NOT NULL,
    state        TEXT    NOT NULL CHECK (state IN ('running', 'finished', 'canceled')),
    filter       TEXT    NOT NULL,
    actor        TEXT    NOT NULL,
    total        INTEGER NOT NULL,
    queued       INTEGER NOT NULL DEFAULT 0,
    done         INTEGER NOT NULL DEFAULT 0,
    failed       INTEGER NOT NULL DEFAULT 0,
    position     INTEGER NOT NULL,
    created_at   INTEGER NOT NULL,
    finished_at  INTEGER
);

CREATE INDEX jobs_running ON jobs (seq) WHERE state = 'running';
