-- +goose Up

-- How many attempts were behind an event when a person last asked for it again:
-- the schedule of redelivery counts from there.
ALTER TABLE webhook_events ADD COLUMN retried_after INTEGER NOT NULL DEFAULT 0;
