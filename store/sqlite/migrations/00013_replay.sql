-- +goose Up

-- Events that are processed again because a person asked for it. The columns of
-- an event stand behind its payload, so they are read only where it is too.
ALTER TABLE webhook_events ADD COLUMN replays INTEGER NOT NULL DEFAULT 0;
ALTER TABLE webhook_events ADD COLUMN replayed_at INTEGER;
-- Where it stood before, as JSON, so that a job that is stopped leaves no trace
-- on what had not had its turn.
ALTER TABLE webhook_events ADD COLUMN replayed_from TEXT;
ALTER TABLE webhook_events ADD COLUMN job_id TEXT;

CREATE INDEX webhook_events_by_job ON webhook_events (job_id, status, due_at) WHERE job_id IS NOT NULL;

ALTER TABLE deliveries ADD COLUMN replay INTEGER NOT NULL DEFAULT 0;

-- A job about events looks at the rows from position to last, the oldest first;
-- position is 0 when all were looked at.
ALTER TABLE jobs ADD COLUMN kind TEXT NOT NULL DEFAULT 'call' CHECK (kind IN ('call', 'event'));
ALTER TABLE jobs ADD COLUMN skipped INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN last INTEGER NOT NULL DEFAULT 0;
