-- +goose Up

-- This file and those of package sqlite up to 00006 make the same tables; from
-- there on files of one number belong together.
--
-- Times are microseconds since 1970 in UTC; NULL where there is none. Text is
-- compared byte by byte (COLLATE "C"), whatever the database's own collation.

CREATE TABLE webhook_events (
    seq           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id            text COLLATE "C" NOT NULL UNIQUE,
    tenant_id     text COLLATE "C" NOT NULL,
    provider      text COLLATE "C" NOT NULL,
    source        text COLLATE "C" NOT NULL,
    event_type    text COLLATE "C" NOT NULL,
    external_id   text COLLATE "C" NOT NULL,
    subject       text COLLATE "C" NOT NULL,
    status        text COLLATE "C" NOT NULL CHECK (status IN ('received', 'processing', 'processed', 'failed', 'ignored')),
    attempts      integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    retried_after integer NOT NULL DEFAULT 0,
    occurred_at   bigint,
    received_at   bigint NOT NULL,
    created_at    bigint NOT NULL,
    processed_at  bigint,
    due_at        bigint,
    lease_until   bigint,
    lease_owner   text COLLATE "C",
    error         text COLLATE "C" NOT NULL DEFAULT '',
    headers       text COLLATE "C" NOT NULL,
    payload       bytea NOT NULL,
    CONSTRAINT webhook_events_known UNIQUE (provider, source, external_id)
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);

-- Rows of a list come from it in the order of the list.
CREATE INDEX webhook_events_by_status ON webhook_events (tenant_id, provider, status, seq);

-- The queue: what waits, by the time at which it may be taken. A row on loan
-- may be taken when its lease ends.
CREATE INDEX webhook_events_due ON webhook_events ((coalesce(lease_until, due_at)))
    WHERE status IN ('received', 'processing');

-- The same by tenant, for a share of each when there is more than can be done.
CREATE INDEX webhook_events_lanes ON webhook_events (tenant_id, (coalesce(lease_until, due_at)))
    WHERE status IN ('received', 'processing');

-- What a person looks for first.
CREATE INDEX webhook_events_failed ON webhook_events (provider, seq) WHERE status = 'failed';

-- One attempt to hand an event over.
CREATE TABLE deliveries (
    event_id    text COLLATE "C" NOT NULL REFERENCES webhook_events (id) ON DELETE CASCADE,
    id          text COLLATE "C" NOT NULL,
    destination text COLLATE "C" NOT NULL,
    attempt     integer NOT NULL,
    state       text COLLATE "C" NOT NULL CHECK (state IN ('succeeded', 'retrying', 'failed')),
    status      integer NOT NULL,
    started_at  bigint NOT NULL,
    took        bigint NOT NULL,
    error       text COLLATE "C" NOT NULL,
    PRIMARY KEY (event_id, id)
);

CREATE TABLE calls (
    seq             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id              text COLLATE "C" NOT NULL UNIQUE,
    service         text COLLATE "C" NOT NULL,
    tenant_id       text COLLATE "C" NOT NULL,
    endpoint        text COLLATE "C" NOT NULL,
    entry           text COLLATE "C" NOT NULL,
    method          text COLLATE "C" NOT NULL,
    path            text COLLATE "C" NOT NULL,
    effect          text COLLATE "C" NOT NULL,
    idempotency_key text COLLATE "C" NOT NULL,
    state           text COLLATE "C" NOT NULL CHECK (state IN ('running', 'queued', 'succeeded', 'rejected', 'failed', 'canceled', 'unknown')),
    status          integer NOT NULL,
    created_at      bigint NOT NULL,
    finished_at     bigint,
    retry_of        text COLLATE "C" NOT NULL,
    async           boolean NOT NULL DEFAULT false,
    priority        integer NOT NULL DEFAULT 0,
    due_at          bigint,
    expires_at      bigint,
    lease_until     bigint,
    lease_owner     text COLLATE "C",
    loans           integer NOT NULL DEFAULT 0 CHECK (loans >= 0),
    in_doubt        boolean NOT NULL DEFAULT false,
    retried_after   integer NOT NULL DEFAULT 0,
    kept_as         text COLLATE "C" NOT NULL DEFAULT '',
    job_id          text COLLATE "C" NOT NULL DEFAULT '',
    callback        text COLLATE "C" NOT NULL DEFAULT '',
    answer_until    bigint,
    failure         text COLLATE "C",
    headers         text COLLATE "C",
    body            bytea,
    answer          text COLLATE "C",
    answer_body     bytea
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);

CREATE INDEX calls_by_state ON calls (service, state, seq);
CREATE INDEX calls_of_tenant ON calls (tenant_id, seq);

-- The queue, by the time at which a row may be taken: when it is due, or when
-- its lease ends.
CREATE INDEX calls_due ON calls ((coalesce(lease_until, due_at)))
    WHERE state IN ('queued', 'running') AND due_at IS NOT NULL;

-- The same by lane: the calls of one tenant to one service with one priority.
CREATE INDEX calls_lanes ON calls (service, tenant_id, priority, (coalesce(lease_until, due_at)))
    WHERE state IN ('queued', 'running') AND due_at IS NOT NULL;

CREATE INDEX calls_by_job ON calls (job_id) WHERE job_id <> '';
CREATE INDEX calls_answered ON calls (answer_until) WHERE answer_until IS NOT NULL;

CREATE TABLE attempts (
    call_id     text COLLATE "C" NOT NULL REFERENCES calls (id) ON DELETE CASCADE,
    number      integer NOT NULL,
    started_at  bigint NOT NULL,
    took        bigint NOT NULL,
    waited      bigint NOT NULL,
    status      integer NOT NULL,
    class       text COLLATE "C" NOT NULL,
    request_id  text COLLATE "C" NOT NULL,
    error       text COLLATE "C" NOT NULL,
    retry_after bigint NOT NULL,
    sent        boolean NOT NULL,
    PRIMARY KEY (call_id, number)
);

-- Many kept calls that a person put back into the queue. Those at or below the
-- position are still to be looked at; 0 when all were.
CREATE TABLE jobs (
    seq         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id          text COLLATE "C" NOT NULL UNIQUE,
    service     text COLLATE "C" NOT NULL,
    state       text COLLATE "C" NOT NULL CHECK (state IN ('running', 'finished', 'canceled')),
    filter      text COLLATE "C" NOT NULL,
    actor       text COLLATE "C" NOT NULL,
    total       bigint NOT NULL,
    queued      bigint NOT NULL DEFAULT 0,
    done        bigint NOT NULL DEFAULT 0,
    failed      bigint NOT NULL DEFAULT 0,
    position    bigint NOT NULL,
    created_at  bigint NOT NULL,
    finished_at bigint
);

CREATE INDEX jobs_running ON jobs (seq) WHERE state = 'running';

CREATE TABLE api_keys (
    seq        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id         text COLLATE "C" NOT NULL UNIQUE,
    name       text COLLATE "C" NOT NULL,
    scope      text COLLATE "C" NOT NULL CHECK (scope IN ('app', 'admin')),
    hash       text COLLATE "C" NOT NULL UNIQUE,
    created_at bigint NOT NULL,
    revoked_at bigint
);

CREATE TABLE audit_log (
    seq    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id     text COLLATE "C" NOT NULL UNIQUE,
    at     bigint NOT NULL,
    actor  text COLLATE "C" NOT NULL,
    action text COLLATE "C" NOT NULL,
    target text COLLATE "C" NOT NULL,
    detail text COLLATE "C" NOT NULL
);

-- One row that the readiness check writes, to know that writing works.
CREATE TABLE heartbeat (
    one integer PRIMARY KEY CHECK (one = 1),
    at  bigint NOT NULL
);

-- Where a provider's answers leave its document or the plan: one row for each
-- place and kind, counted.
CREATE TABLE drift (
    seq        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    service    text COLLATE "C" NOT NULL,
    endpoint   text COLLATE "C" NOT NULL,
    pointer    text COLLATE "C" NOT NULL,
    kind       text COLLATE "C" NOT NULL,
    row_id     text COLLATE "C" NOT NULL,
    expected   text COLLATE "C" NOT NULL,
    example    text COLLATE "C" NOT NULL,
    ends       bigint,
    first_seen bigint NOT NULL,
    last_seen  bigint NOT NULL,
    count      bigint NOT NULL CHECK (count > 0)
);

-- A pointer into a document may be longer than an index takes; its digest is not.
CREATE UNIQUE INDEX drift_places ON drift (service, endpoint, md5(pointer), kind);

-- Keys that credentials are sealed with, each sealed with the master key. The
-- youngest of a tenant that is not retired seals; the others only open.
CREATE TABLE tenant_keys (
    seq        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id         text COLLATE "C" NOT NULL UNIQUE,
    tenant_id  text COLLATE "C" NOT NULL,
    master     text COLLATE "C" NOT NULL,
    created_at bigint NOT NULL,
    retired_at bigint,
    sealed     bytea NOT NULL
);

-- One key of a tenant seals: two instances that make the first at the same time
-- agree on one.
CREATE UNIQUE INDEX tenant_keys_in_use ON tenant_keys (tenant_id) WHERE retired_at IS NULL;
CREATE INDEX tenant_keys_by_tenant ON tenant_keys (tenant_id);

CREATE TABLE connections (
    seq          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id           text COLLATE "C" NOT NULL UNIQUE,
    tenant_id    text COLLATE "C" NOT NULL,
    service      text COLLATE "C" NOT NULL,
    environment  text COLLATE "C" NOT NULL,
    kind         text COLLATE "C" NOT NULL,
    state        text COLLATE "C" NOT NULL CHECK (state IN ('connected', 'expiring', 'needs_reauth', 'disconnected')),
    reason       text COLLATE "C" NOT NULL,
    account      text COLLATE "C" NOT NULL,
    base_url     text COLLATE "C" NOT NULL,
    variables    text COLLATE "C" NOT NULL,
    scopes       text COLLATE "C" NOT NULL,
    created_at   bigint NOT NULL,
    updated_at   bigint NOT NULL,
    expires_at   bigint,
    renew_before bigint,
    last_used_at bigint,
    version      bigint NOT NULL CHECK (version > 0),
    task         text COLLATE "C" NOT NULL CHECK (task IN ('', 'refresh', 'keep_alive', 'revoke', 'check')),
    due_at       bigint,
    lease_until  bigint,
    lease_owner  text COLLATE "C",
    attempts     integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    loans        integer NOT NULL DEFAULT 0,
    lent_version bigint
);

CREATE INDEX connections_of ON connections (service, tenant_id, environment);
CREATE INDEX connections_of_tenant ON connections (tenant_id);
CREATE INDEX connections_due ON connections ((coalesce(lease_until, due_at))) WHERE due_at IS NOT NULL;

CREATE TABLE credentials (
    connection_id text COLLATE "C" NOT NULL REFERENCES connections (id),
    field         text COLLATE "C" NOT NULL,
    key_id        text COLLATE "C" NOT NULL REFERENCES tenant_keys (id),
    fingerprint   text COLLATE "C" NOT NULL,
    created_at    bigint NOT NULL,
    expires_at    bigint,
    sealed        bytea NOT NULL,
    PRIMARY KEY (connection_id, field)
);

CREATE INDEX credentials_by_key ON credentials (key_id);

-- Flows that began. A row is found by the hash of its token and taken once.
CREATE TABLE oauth_states (
    hash          text COLLATE "C" PRIMARY KEY,
    flow          text COLLATE "C" NOT NULL,
    connection_id text COLLATE "C" NOT NULL,
    tenant_id     text COLLATE "C" NOT NULL,
    service       text COLLATE "C" NOT NULL,
    environment   text COLLATE "C" NOT NULL,
    browser       text COLLATE "C" NOT NULL,
    issuer        text COLLATE "C" NOT NULL,
    redirect_uri  text COLLATE "C" NOT NULL,
    return_url    text COLLATE "C" NOT NULL,
    variables     text COLLATE "C" NOT NULL,
    scopes        text COLLATE "C" NOT NULL,
    key_id        text COLLATE "C" REFERENCES tenant_keys (id),
    created_at    bigint NOT NULL,
    expires_at    bigint NOT NULL,
    sealed        bytea
);

CREATE INDEX oauth_states_expired ON oauth_states (expires_at);
CREATE INDEX oauth_states_by_key ON oauth_states (key_id) WHERE key_id IS NOT NULL;

-- Who may refresh a connection's credential, and what was asked of the provider
-- under that right and not answered yet.
CREATE TABLE refresh_intents (
    connection_id text COLLATE "C" PRIMARY KEY REFERENCES connections (id),
    version       bigint NOT NULL,
    lease_owner   text COLLATE "C",
    lease_until   bigint,
    asked_version bigint,
    asked_at      bigint,
    fingerprint   text COLLATE "C" NOT NULL DEFAULT ''
);

-- Sealing everything anew under another master key; a row that is not finished
-- is gone on with.
CREATE TABLE rotations (
    seq         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id          text COLLATE "C" NOT NULL UNIQUE,
    state       text COLLATE "C" NOT NULL CHECK (state IN ('running', 'finished')),
    before      text COLLATE "C" NOT NULL,
    fresh       text COLLATE "C" NOT NULL,
    position    text COLLATE "C" NOT NULL,
    keys        bigint NOT NULL,
    credentials bigint NOT NULL,
    started_at  bigint NOT NULL,
    finished_at bigint
);

CREATE UNIQUE INDEX rotations_running ON rotations (state) WHERE state = 'running';

-- When a secret that a plan refers to was first seen, by its fingerprint: how
-- old it is at least.
CREATE TABLE secret_sightings (
    service     text COLLATE "C" NOT NULL,
    environment text COLLATE "C" NOT NULL,
    name        text COLLATE "C" NOT NULL,
    fingerprint text COLLATE "C" NOT NULL,
    reference   text COLLATE "C" NOT NULL,
    first_seen  bigint NOT NULL,
    last_seen   bigint NOT NULL,
    PRIMARY KEY (service, environment, name, fingerprint)
);

-- Which credential was used for what and by whom, counted by the minute.
CREATE TABLE credential_uses (
    seq           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    minute        bigint NOT NULL,
    service       text COLLATE "C" NOT NULL,
    tenant_id     text COLLATE "C" NOT NULL,
    connection_id text COLLATE "C" NOT NULL,
    fingerprint   text COLLATE "C" NOT NULL,
    endpoint      text COLLATE "C" NOT NULL,
    actor         text COLLATE "C" NOT NULL,
    count         bigint NOT NULL CHECK (count > 0),
    refused       bigint NOT NULL,
    UNIQUE (minute, service, tenant_id, connection_id, fingerprint, endpoint, actor)
);

CREATE INDEX credential_uses_of_tenant ON credential_uses (tenant_id);
