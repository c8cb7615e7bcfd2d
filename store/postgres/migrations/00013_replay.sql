-- +goose Up

-- Events that are processed again because a person asked for it. replayed_from
-- is where the event stood before, as JSON, so that a job that is stopped leaves
-- no trace on what had not had its turn.
ALTER TABLE webhook_events
    ADD COLUMN replays       integer NOT NULL DEFAULT 0,
    ADD COLUMN replayed_at   bigint,
    ADD COLUMN replayed_from text COLLATE "C",
    ADD COLUMN job_id        text COLLATE "C";

CREATE INDEX webhook_events_by_job ON webhook_events (job_id, status, due_at) WHERE job_id IS NOT NULL;

ALTER TABLE deliveries ADD COLUMN replay integer NOT NULL DEFAULT 0;

-- A job about events looks at the rows from position to last, the oldest first;
-- position is 0 when all were looked at.
ALTER TABLE jobs
    ADD COLUMN kind    text COLLATE "C" NOT NULL DEFAULT 'call' CHECK (kind IN ('call', 'event')),
    ADD COLUMN skipped integer NOT NULL DEFAULT 0,
    ADD COLUMN last    bigint NOT NULL DEFAULT 0;
