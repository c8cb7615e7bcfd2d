-- +goose Up

-- Secrets that were marked as leaked, by their fingerprint: no gateway on this
-- database uses them.
CREATE TABLE leaked_secrets (
    fingerprint   text COLLATE "C" PRIMARY KEY,
    service       text COLLATE "C" NOT NULL,
    environment   text COLLATE "C" NOT NULL,
    name          text COLLATE "C" NOT NULL,
    connection_id text COLLATE "C" NOT NULL,
    at            bigint NOT NULL,
    actor         text COLLATE "C" NOT NULL
);

-- Tenants that were erased within the last day, so that each process forgets
-- what it has in memory of them.
CREATE TABLE erased_tenants (
    tenant_id text COLLATE "C" PRIMARY KEY,
    at        bigint NOT NULL
);

CREATE INDEX erased_tenants_at ON erased_tenants (at);
