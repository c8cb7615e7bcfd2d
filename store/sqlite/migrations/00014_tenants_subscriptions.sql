-- +goose Up

-- A tenant's connection has subscriptions of its own; one without is the
-- service's.
CREATE TABLE subscriptions_of (
    service       TEXT    NOT NULL,
    connection_id TEXT    NOT NULL DEFAULT '',
    external_id   TEXT    NOT NULL,
    tenant_id     TEXT    NOT NULL DEFAULT '',
    url           TEXT    NOT NULL,
    resource      TEXT    NOT NULL,
    events        TEXT    NOT NULL,
    state         TEXT    NOT NULL,
    expires_at    INTEGER,
    created_at    INTEGER NOT NULL,
    checked_at    INTEGER NOT NULL,
    error         TEXT    NOT NULL,
    extra         TEXT    NOT NULL,
    sealed        BLOB,
    PRIMARY KEY (service, connection_id, external_id)
) WITHOUT ROWID;

INSERT INTO subscriptions_of (service, external_id, url, resource, events, state, expires_at, created_at, checked_at, error, extra, sealed)
SELECT service, external_id, url, resource, events, state, expires_at, created_at, checked_at, error, extra, sealed FROM subscriptions;

DROP TABLE subscriptions;

ALTER TABLE subscriptions_of RENAME TO subscriptions;

CREATE INDEX subscriptions_of_tenant ON subscriptions (tenant_id) WHERE tenant_id <> '';

-- Services whose tenants' subscriptions an administrator removed: none is
-- registered by itself until they are wanted again.
CREATE TABLE unsubscribed (
    service TEXT    PRIMARY KEY,
    at      INTEGER NOT NULL
) WITHOUT ROWID;
