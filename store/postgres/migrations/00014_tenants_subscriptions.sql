-- +goose Up

-- A tenant's connection has subscriptions of its own; one without is the
-- service's.
ALTER TABLE subscriptions ADD COLUMN connection_id text COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE subscriptions ADD COLUMN tenant_id text COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE subscriptions DROP CONSTRAINT subscriptions_pkey;
ALTER TABLE subscriptions ADD PRIMARY KEY (service, connection_id, external_id);

CREATE INDEX subscriptions_of_tenant ON subscriptions (tenant_id) WHERE tenant_id <> '';

-- Services whose tenants' subscriptions an administrator removed: none is
-- registered by itself until they are wanted again.
CREATE TABLE unsubscribed (
    service text COLLATE "C" PRIMARY KEY,
    at      bigint NOT NULL
);
