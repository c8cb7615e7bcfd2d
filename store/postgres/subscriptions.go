package postgres

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/sallyport/sallyport/integration"
)

const subscriptionColumns = "service, external_id, url, resource, events, state, expires_at, created_at, checked_at, error, extra, sealed"

// upsertSubscription keeps when a subscription was first seen, and its secret
// when none is given: providers tell it once.
const upsertSubscription = "INSERT INTO subscriptions (" + subscriptionColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
ON CONFLICT (service, external_id) DO UPDATE SET url = excluded.url, resource = excluded.resource, events = excluded.events,
	state = excluded.state, expires_at = excluded.expires_at, checked_at = excluded.checked_at, error = excluded.error,
	extra = excluded.extra, sealed = coalesce(excluded.sealed, subscriptions.sealed)`

// PutSubscription keeps what is known of a subscription. CreatedAt stays as it
// was first given, and so does Sealed where s has none.
func (s *Store) PutSubscription(ctx context.Context, sub *integration.Subscription) error {
	if sub.Service == "" || sub.ExternalID == "" {
		return errors.New("postgres: a subscription needs a service and the provider's id")
	}
	events, err := json.Marshal(sub.Events)
	if err != nil {
		return fmt.Errorf("postgres: subscription %s: %w", sub.ExternalID, err)
	}
	extra, err := json.Marshal(sub.Extra)
	if err != nil {
		return fmt.Errorf("postgres: subscription %s: %w", sub.ExternalID, err)
	}
	sealed := any(nil)
	if len(sub.Sealed) > 0 {
		sealed = sub.Sealed
	}
	return s.do(ctx, func(t *transaction) error {
		_, err := t.exec(upsertSubscription, sub.Service, sub.ExternalID, sub.URL, sub.Resource, string(events), sub.State,
			optionalMicros(sub.ExpiresAt), micros(sub.CreatedAt), micros(sub.CheckedAt), sub.Error, string(extra), sealed)
		if err != nil {
			return fmt.Errorf("postgres: subscription %s of %s: %w", sub.ExternalID, sub.Service, err)
		}
		return nil
	})
}

// ForgetSubscription deletes what is known of a subscription; that there is
// none is no error.
func (s *Store) ForgetSubscription(ctx context.Context, service, externalID string) error {
	return s.do(ctx, func(t *transaction) error {
		_, err := t.exec("DELETE FROM subscriptions WHERE service = $1 AND external_id = $2", service, externalID)
		if err != nil {
			return fmt.Errorf("postgres: subscription %s of %s: %w", externalID, service, err)
		}
		return nil
	})
}

// Subscriptions lists what is known of a service, what was registered first in
// front.
func (s *Store) Subscriptions(ctx context.Context, service string) ([]integration.Subscription, error) {
	rows, err := s.query(ctx, "SELECT "+subscriptionColumns+" FROM subscriptions WHERE service = $1 ORDER BY created_at, external_id", service)
	if err != nil {
		return nil, fmt.Errorf("postgres: subscriptions: %w", err)
	}
	var list []integration.Subscription
	err = each(rows, func(r rowScanner) error {
		var one integration.Subscription
		var events, extra string
		var expires sql.NullInt64
		var created, checked int64
		if err := r.Scan(&one.Service, &one.ExternalID, &one.URL, &one.Resource, &events, &one.State, &expires, &created, &checked, &one.Error, &extra, &one.Sealed); err != nil {
			return err
		}
		one.ExpiresAt, one.CreatedAt, one.CheckedAt = fromOptional(expires), fromMicros(created), fromMicros(checked)
		list = append(list, one)
		last := &list[len(list)-1]
		return errors.Join(json.Unmarshal([]byte(events), &last.Events), json.Unmarshal([]byte(extra), &last.Extra))
	})
	if err != nil {
		return nil, fmt.Errorf("postgres: subscriptions: %w", err)
	}
	return list, nil
}
