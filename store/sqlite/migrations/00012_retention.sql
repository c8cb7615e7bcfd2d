-- +goose Up

-- How much is kept of what came in: 0 all, 1 a payload without redacted values,
-- 2 nothing. packed is 1 where the payload is compressed with zstd.
ALTER TABLE webhook_events ADD COLUMN kept INTEGER NOT NULL DEFAULT 0;
ALTER TABLE webhook_events ADD COLUMN packed INTEGER NOT NULL DEFAULT 0;

-- What has had its time, the oldest of a service first. Only the emptying of a
-- payload takes a row from the first to the second.
CREATE INDEX webhook_events_whole ON webhook_events (provider, received_at) WHERE kept < 2;
CREATE INDEX webhook_events_emptied ON webhook_events (provider, received_at) WHERE kept = 2;

-- Whose turn it is to delete, and from when on anything is.
CREATE TABLE housekeeping (
    one         INTEGER PRIMARY KEY CHECK (one = 1),
    begins_at   INTEGER NOT NULL,
    lease_owner TEXT    NOT NULL,
    lease_until INTEGER NOT NULL
);
