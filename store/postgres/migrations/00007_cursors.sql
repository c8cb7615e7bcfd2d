-- +goose Up

-- Tasks that are gone on with from time to time, by one instance at a time:
-- looking for events that never came, renewing subscriptions. The row is the
-- queue.
CREATE TABLE cursors (
    id          text COLLATE "C" PRIMARY KEY,
    due_at      bigint,
    attempts    integer NOT NULL DEFAULT 0,
    lease_owner text COLLATE "C",
    lease_until bigint,
    state       text COLLATE "C" NOT NULL DEFAULT ''
);

CREATE INDEX cursors_due ON cursors ((coalesce(lease_until, due_at))) WHERE due_at IS NOT NULL;

-- What we are subscribed to at providers. sealed is a signing secret that the
-- provider gave.
CREATE TABLE subscriptions (
    service     text COLLATE "C" NOT NULL,
    external_id text COLLATE "C" NOT NULL,
    url         text COLLATE "C" NOT NULL,
    resource    text COLLATE "C" NOT NULL,
    events      text COLLATE "C" NOT NULL,
    state       text COLLATE "C" NOT NULL,
    expires_at  bigint,
    created_at  bigint NOT NULL,
    checked_at  bigint NOT NULL,
    error       text COLLATE "C" NOT NULL,
    extra       text COLLATE "C" NOT NULL,
    sealed      bytea,
    PRIMARY KEY (service, external_id)
);
