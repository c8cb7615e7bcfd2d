-- +goose Up

-- What instances share of the limits of one service in one environment, where
-- there is no Redis. Losing it in a crash does no harm: instances give back what
-- they know. So it is not written to the log.
CREATE UNLOGGED TABLE limit_groups (
    name  text COLLATE "C" PRIMARY KEY,
    state text NOT NULL
) WITH (fillfactor = 50);
