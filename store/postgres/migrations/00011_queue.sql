-- +goose Up

-- progress is where an event stands with each of several destinations; parked
-- names the paused destinations it waits for; order_key is what it must not
-- overtake within; holds are the destinations where it, or one before it, holds
-- those behind it: NULL where it holds them at all.
ALTER TABLE webhook_events
    ADD COLUMN progress  text COLLATE "C",
    ADD COLUMN parked    text COLLATE "C",
    ADD COLUMN order_key text COLLATE "C",
    ADD COLUMN holds     text[] COLLATE "C";

-- The queue without what is parked and due for nobody else; events with an order have one of their own.
DROP INDEX webhook_events_due;
DROP INDEX webhook_events_lanes;
CREATE INDEX webhook_events_due ON webhook_events ((coalesce(lease_until, due_at)))
    WHERE status IN ('received', 'processing') AND (parked IS NULL OR due_at IS NOT NULL) AND order_key IS NULL;
CREATE INDEX webhook_events_lanes ON webhook_events (tenant_id, (coalesce(lease_until, due_at)))
    WHERE status IN ('received', 'processing') AND (parked IS NULL OR due_at IS NOT NULL) AND order_key IS NULL;
CREATE INDEX webhook_events_due_ordered ON webhook_events ((coalesce(lease_until, due_at)))
    WHERE status IN ('received', 'processing') AND (parked IS NULL OR due_at IS NOT NULL) AND order_key IS NOT NULL;
CREATE INDEX webhook_events_line ON webhook_events (order_key, seq)
    WHERE status IN ('received', 'processing') AND order_key IS NOT NULL AND holds IS NULL;
CREATE INDEX webhook_events_holding ON webhook_events (order_key, seq)
    WHERE status IN ('received', 'processing') AND order_key IS NOT NULL AND holds IS NOT NULL;
CREATE INDEX webhook_events_parked ON webhook_events (parked, seq) WHERE parked IS NOT NULL;

-- Whatever instances do at the same time, one event of a key is on loan.
CREATE UNIQUE INDEX webhook_events_one_of_a_line ON webhook_events (order_key)
    WHERE status = 'processing' AND order_key IS NOT NULL;

-- What was processed of one subject, by the provider's time.
CREATE INDEX webhook_events_latest ON webhook_events (provider, tenant_id, subject, occurred_at)
    WHERE status = 'processed' AND subject <> '' AND occurred_at IS NOT NULL;

-- Destinations that a person paused.
CREATE TABLE paused_destinations (
    service text COLLATE "C" NOT NULL,
    name    text COLLATE "C" NOT NULL,
    at      bigint NOT NULL,
    actor   text COLLATE "C" NOT NULL,
    PRIMARY KEY (service, name)
);
