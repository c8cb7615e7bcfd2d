-- +goose Up

-- Whose account at the provider an event names.
CREATE INDEX connections_of_account ON connections (service, environment, account) WHERE account <> '';

-- Which call of ours an event echoes.
CREATE INDEX calls_by_key ON calls (service, idempotency_key) WHERE idempotency_key <> '';
