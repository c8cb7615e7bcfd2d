-- +goose Up

-- Sealing everything anew under another master key; a row that is not finished
-- is gone on with.
CREATE TABLE rotations (
    seq         INTEGER PRIMARY KEY,
    id          TEXT    NOT NULL UNIQUE,
    state       TEXT    NOT NULL CHECK (state IN ('running', 'finished')),
    before      TEXT    NOT NULL,
    fresh       TEXT    NOT NULL,
    position    TEXT    NOT NULL,
    keys        INTEGER NOT NULL,
    credentials INTEGER NOT NULL,
    started_at  INTEGER NOT NULL,
    finished_at INTEGER
);

CREATE UNIQUE INDEX rotations_running ON rotations (state) WHERE state = 'running';

-- When a secret that a plan refers to was first seen, by its fingerprint: how
-- old it is at least.
CREATE TABLE secret_sightings (
    service     TEXT    NOT NULL,
    environment TEXT    NOT NULL,
    name        TEXT    NOT NULL,
    fingerprint TEXT    NOT NULL,
    reference   TEXT    NOT NULL,
    first_seen  INTEGER NOT NULL,
    last_seen   INTEGER NOT NULL,
    PRIMARY KEY (service, environment, name, fingerprint)
) WITHOUT ROWID;

-- Which credential was used for what and by whom, counted by the minute.
CREATE TABLE credential_uses (
    seq           INTEGER PRIMARY KEY,
    minute        INTEGER NOT NULL,
    service       TEXT    NOT NULL,
    tenant_id     TEXT    NOT NULL,
    connection_id TEXT    NOT NULL,
    fingerprint   TEXT    NOT NULL,
    endpoint      TEXT    NOT NULL,
    actor         TEXT    NOT NULL,
    count         INTEGER NOT NULL CHECK (count > 0),
    refused       INTEGER NOT NULL,
    UNIQUE (minute, service, tenant_id, connection_id, fingerprint, endpoint, actor)
);

CREATE INDEX credential_uses_of_tenant ON credential_uses (tenant_id);
CREATE INDEX calls_of_tenant ON calls (tenant_id);
