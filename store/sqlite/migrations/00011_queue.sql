-- +goose Up

-- progress is where an event stands with each of several destinations; parked
-- names the paused destinations it waits for; order_key is what it must not
-- overtake within; holds are the destinations where it, or one before it, holds
-- those behind it: NULL where it holds them at all.
ALTER TABLE webhook_events ADD COLUMN progress TEXT;
ALTER TABLE webhook_events ADD COLUMN parked TEXT;
ALTER TABLE webhook_events ADD COLUMN order_key TEXT;
ALTER TABLE webhook_events ADD COLUMN holds TEXT;

-- The queue without what is parked and due for nobody else; events with an order have one of their own.
DROP INDEX webhook_events_due;
CREATE INDEX webhook_events_due ON webhook_events (coalesce(lease_until, due_at))
    WHERE status IN ('received', 'processing') AND (parked IS NULL OR due_at IS NOT NULL) AND order_key IS NULL;
CREATE INDEX webhook_events_due_ordered ON webhook_events (coalesce(lease_until, due_at))
    WHERE status IN ('received', 'processing') AND (parked IS NULL OR due_at IS NOT NULL) AND order_key IS NOT NULL;
CREATE INDEX webhook_events_line ON webhook_events (order_key, seq)
    WHERE status IN ('received', 'processing') AND order_key IS NOT NULL AND holds IS NULL;
CREATE INDEX webhook_events_holding ON webhook_events (order_key, seq)
    WHERE status IN ('received', 'processing') AND order_key IS NOT NULL AND holds IS NOT NULL;
CREATE INDEX webhook_events_parked ON webhook_events (parked, seq) WHERE parked IS NOT NULL;

-- One event of a line is on loan.
CREATE UNIQUE INDEX webhook_events_one_of_a_line ON webhook_events (order_key)
    WHERE status = 'processing' AND order_key IS NOT NULL;

-- What was processed of one subject, by the provider's time.
CREATE INDEX webhook_events_latest ON webhook_events (provider, tenant_id, subject, occurred_at)
    WHERE status = 'processed' AND subject <> '' AND occurred_at IS NOT NULL;

-- Destinations that a person paused.
CREATE TABLE paused_destinations (
    service TEXT    NOT NULL,
    name    TEXT    NOT NULL,
    at      INTEGER NOT NULL,
    actor   TEXT    NOT NULL,
    PRIMARY KEY (service, name)
) WITHOUT ROWID;
