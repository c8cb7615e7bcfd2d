-- +goose Up

-- Where a provider's answers leave its document or the plan: one row for each
-- place and kind, counted.
CREATE TABLE drift (
    seq        INTEGER PRIMARY KEY,
    service    TEXT    NOT NULL,
    endpoint   TEXT    NOT NULL,
    pointer    TEXT    NOT NULL,
    kind       TEXT    NOT NULL,
    row_id     TEXT    NOT NULL,
    expected   TEXT    NOT NULL,
    example    TEXT    NOT NULL,
    ends       INTEGER,
    first_seen INTEGER NOT NULL,
    last_seen  INTEGER NOT NULL,
    count      INTEGER NOT NULL CHECK (count > 0),
    UNIQUE (service, endpoint, pointer, kind)
);
