-- +goose Up

-- Keys that credentials are sealed with, each sealed with the master key. The
-- youngest of a tenant that is not retired seals; the others only open.
CREATE TABLE tenant_keys (
    seq        INTEGER PRIMARY KEY,
    id         TEXT    NOT NULL UNIQUE,
    tenant_id  TEXT    NOT NULL,
    master     TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    retired_at INTEGER,
    sealed     BLOB    NOT NULL
);

-- One key of a tenant seals: two instances that make the first at the same time
-- agree on one.
CREATE UNIQUE INDEX tenant_keys_in_use ON tenant_keys (tenant_id) WHERE retired_at IS NULL;
CREATE INDEX tenant_keys_by_tenant ON tenant_keys (tenant_id);

CREATE TABLE connections (
    seq          INTEGER PRIMARY KEY,
    id           TEXT    NOT NULL UNIQUE,
    tenant_id    TEXT    NOT NULL,
    service      TEXT    NOT NULL,
    environment  TEXT    NOT NULL,
    kind         TEXT    NOT NULL,
    state        TEXT    NOT NULL CHECK (state IN ('connected', 'expiring', 'needs_reauth', 'disconnected')),
    reason       TEXT    NOT NULL,
    account      TEXT    NOT NULL,
    base_url     TEXT    NOT NULL,
    variables    TEXT    NOT NULL,
    scopes       TEXT    NOT NULL,
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL,
    expires_at   INTEGER,
    renew_before INTEGER,
    last_used_at INTEGER,
    version      INTEGER NOT NULL CHECK (version > 0),
    task         TEXT    NOT NULL CHECK (task IN ('', 'refresh', 'keep_alive', 'revoke', 'check')),
    due_at       INTEGER,
    lease_until  INTEGER,
    lease_owner  TEXT,
    attempts     INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    loans        INTEGER NOT NULL DEFAULT 0,
    lent_version INTEGER
);

CREATE INDEX connections_of ON connections (service, tenant_id, environment);
CREATE INDEX connections_of_tenant ON connections (tenant_id);
CREATE INDEX connections_due ON connections (coalesce(lease_until, due_at)) WHERE due_at IS NOT NULL;

CREATE TABLE credentials (
    connection_id TEXT    NOT NULL REFERENCES connections (id),
    field         TEXT    NOT NULL,
    key_id        TEXT    NOT NULL REFERENCES tenant_keys (id),
    fingerprint   TEXT    NOT NULL,
    created_at    INTEGER NOT NULL,
    expires_at    INTEGER,
    sealed        BLOB    NOT NULL,
    PRIMARY KEY (connection_id, field)
) WITHOUT ROWID;

CREATE INDEX credentials_by_key ON credentials (key_id);

-- Flows that began. A row is found by the hash of its token and taken once.
CREATE TABLE oauth_states (
    hash          TEXT    PRIMARY KEY,
    flow          TEXT    NOT NULL,
    connection_id TEXT    NOT NULL,
    tenant_id     TEXT    NOT NULL,
    service       TEXT    NOT NULL,
    environment   TEXT    NOT NULL,
    browser       TEXT    NOT NULL,
    issuer        TEXT    NOT NULL,
    redirect_uri  TEXT    NOT NULL,
    return_url    TEXT    NOT NULL,
    variables     TEXT    NOT NULL,
    scopes        TEXT    NOT NULL,
    key_id        TEXT    REFERENCES tenant_keys (id),
    created_at    INTEGER NOT NULL,
    expires_at    INTEGER NOT NULL,
    sealed        BLOB
) WITHOUT ROWID;

CREATE INDEX oauth_states_expired ON oauth_states (expires_at);
CREATE INDEX oauth_states_by_key ON oauth_states (key_id) WHERE key_id IS NOT NULL;

-- Who may refresh a connection's credential, and what was asked of the provider
-- under that right and not answered yet.
CREATE TABLE refresh_intents (
    connection_id TEXT    PRIMARY KEY REFERENCES connections (id),
    version       INTEGER NOT NULL,
    lease_owner   TEXT,
    lease_until   INTEGER,
    asked_version INTEGER,
    asked_at      INTEGER,
    fingerprint   TEXT    NOT NULL DEFAULT ''
) WITHOUT ROWID;
