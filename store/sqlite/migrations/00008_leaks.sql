-- +goose Up

-- Secrets that were marked as leaked, by their fingerprint: no gateway on this
-- database uses them.
CREATE TABLE leaked_secrets (
    fingerprint   TEXT    PRIMARY KEY,
    service       TEXT    NOT NULL,
    environment   TEXT    NOT NULL,
    name          TEXT    NOT NULL,
    connection_id TEXT    NOT NULL,
    at            INTEGER NOT NULL,
    actor         TEXT    NOT NULL
) WITHOUT ROWID;

-- Tenants that were erased within the last day, so that each process forgets
-- what it has in memory of them.
CREATE TABLE erased_tenants (
    tenant_id TEXT    PRIMARY KEY,
    at        INTEGER NOT NULL
) WITHOUT ROWID;

CREATE INDEX erased_tenants_at ON erased_tenants (at);
