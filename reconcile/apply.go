package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/sallyport/sallyport/integration"
)

// read makes a subscription of what the provider says of one.
func (s *subscribed) read(raw json.RawMessage) integration.Subscription {
	f, now := s.facts, s.config.Now().UTC()
	at := func(path string) gjson.Result {
		if path == "" {
			return gjson.Result{}
		}
		return gjson.GetBytes(raw, path)
	}
	one := integration.Subscription{
		Service: s.name, Tenant: s.tenant, Connection: s.connection, ExternalID: plain(at(f.ID)), URL: at(f.URL).String(), Resource: at(f.Resource).String(), State: at(f.State).String(),
		CreatedAt: now, CheckedAt: now,
	}
	switch events := at(f.Events); {
	case events.IsArray():
		for _, e := range events.Array() {
			one.Events = append(one.Events, e.String())
		}
	case events.String() != "" && f.Join != "":
		one.Events = strings.Split(events.String(), f.Join)
	case events.String() != "":
		one.Events = []string{events.String()}
	}
	slices.Sort(one.Events)
	if f.Expiry != nil {
		one.ExpiresAt = readTime(f.Expiry.Format, plain(at(f.Expiry.Path)))
	}
	if id := plain(at(f.ResourceID)); id != "" {
		one.Extra = map[string]string{"resource_id": id}
	}
	return one
}

// plain is a value as text, a number with all its digits.
func plain(v gjson.Result) string {
	if v.Type == gjson.Number {
		return v.Raw
	}
	return v.String()
}

// apply does what a comparison came to: what is new first, so that no event falls
// between two.
func (s *subscribed) apply(ctx context.Context, c *Comparison) error {
	var problems []error
	for i := range c.Changes {
		if change := &c.Changes[i]; change.Do != Keep && change.Do != Remove {
			problems = append(problems, s.change(ctx, change))
		}
	}
	if err := errors.Join(problems...); err != nil {
		return fmt.Errorf("webhooks of %s: %w", s.name, err) // nothing is removed while what takes its place is not there
	}
	for i := range c.Changes {
		if change := &c.Changes[i]; change.Do == Remove {
			problems = append(problems, s.remove(ctx, change))
		}
	}
	if err := errors.Join(problems...); err != nil {
		return fmt.Errorf("webhooks of %s: %w", s.name, err)
	}
	return nil
}

func (s *subscribed) change(ctx context.Context, c *Change) error {
	before := c.Subscription
	var err error
	switch {
	case c.refused != nil:
		err = c.refused
	case s.facts.Document != nil:
		err = s.putDocument(ctx, c)
	default:
		err = s.changeOne(ctx, c)
	}
	if err != nil {
		if before.ExternalID != "" {
			before.Error = err.Error()
			err = errors.Join(err, s.config.Store.PutSubscription(context.WithoutCancel(ctx), &before))
		}
		return fmt.Errorf("%s: %w", c.Do, err)
	}
	c.Done = true
	s.config.Log.InfoContext(ctx, "subscription.changed", "service", s.name, "connection", s.connection, "did", c.Do, "why", c.Why, "subscription", c.Subscription.ExternalID,
		"events", c.Events, "expires_at", c.Subscription.ExpiresAt)
	return nil
}

// changeOne changes a subscription that stands by itself.
func (s *subscribed) changeOne(ctx context.Context, c *Change) (err error) {
	before := c.Subscription
	switch c.Do {
	case Register:
		err = s.create(ctx, c)
	case Update, Renew:
		err = s.update(ctx, c)
		if errors.Is(err, errNotThere) {
			if err = s.create(ctx, c); err == nil {
				err = s.config.Store.ForgetSubscription(ctx, s.name, s.connection, before.ExternalID)
			}
		}
	case Replace:
		if err = s.create(ctx, c); err == nil {
			err = s.remove(ctx, &Change{Do: Remove, Subscription: before})
		}
	}
	return err
}

// values are those of one subscription.
func (s *subscribed) values(c *Change) *values {
	text := maps.Clone(s.path(s.plan.Webhooks.Path))
	if text == nil {
		text = map[string]string{}
	}
	text["url"], text["id"], text["resource_id"] = s.url, c.Subscription.ExternalID, c.Subscription.Extra["resource_id"]
	if s.facts.Expiry != nil {
		text["expires"] = writeTime(s.facts.Expiry.Format, s.config.Now().Add(time.Duration(s.facts.Expiry.Seconds)*time.Second))
	}
	return &values{text: text, events: c.Events, join: s.facts.Join, secret: s.secret()}
}

// create registers one, and keeps the secret that comes with it.
func (s *subscribed) create(ctx context.Context, c *Change) error {
	if s.facts.Create == nil {
		return ErrNoFacts
	}
	if s.facts.Secret != "" && s.config.Seal == nil {
		return ErrNotKept
	}
	v := s.values(c)
	v.text["new_id"] = s.config.NewID()
	answer, err := s.wire.do(ctx, s.facts.Create, v)
	if err != nil {
		return err
	}
	one := s.read(s.object(answer))
	if one.ExternalID == "" {
		return errors.New("the provider's answer has no id where the profile's webhooks.subscription says it stands; look into its dashboard, and run the comparison again")
	}
	s.complete(&one, c)
	// What is registered is written down whatever becomes of the caller.
	ctx = context.WithoutCancel(ctx)
	if s.facts.Secret != "" {
		if err := s.keepSecret(ctx, answer, &one); err != nil {
			// Without its secret none of its events could be verified.
			return errors.Join(err, s.remove(ctx, &Change{Do: Remove, Subscription: one}))
		}
	}
	if err := s.config.Store.PutSubscription(ctx, &one); err != nil {
		return err
	}
	if len(one.Sealed) > 0 && s.config.Kept != nil {
		s.config.Kept(s.name)
	}
	c.Subscription = one
	return nil
}

func (s *subscribed) keepSecret(ctx context.Context, answer json.RawMessage, one *integration.Subscription) error {
	secret := gjson.GetBytes(s.object(answer), s.facts.Secret).String()
	if secret == "" {
		return errors.New("the provider's answer has no signing secret where the profile's webhooks.subscription says it stands")
	}
	var err error
	one.Sealed, err = s.config.Seal(ctx, one, integration.NewSecret(secret))
	return err
}

func (s *subscribed) object(answer json.RawMessage) json.RawMessage {
	if s.facts.Object == "" {
		return answer
	}
	return json.RawMessage(gjson.GetBytes(answer, s.facts.Object).Raw)
}

// complete fills in what the answer leaves out.
func (s *subscribed) complete(one *integration.Subscription, c *Change) {
	one.URL = s.url
	if len(one.Events) == 0 {
		one.Events = c.Events
	}
	if one.Resource == "" && s.facts.Resource != "" {
		one.Resource = s.path(s.plan.Webhooks.Path)["resource"]
	}
}

// update changes one that is there.
func (s *subscribed) update(ctx context.Context, c *Change) error {
	answer, err := s.wire.do(ctx, s.facts.Update, s.values(c))
	if err != nil {
		return err
	}
	one := c.Subscription
	if told := s.read(s.object(answer)); told.ExternalID == one.ExternalID {
		told.CreatedAt, told.Extra = one.CreatedAt, one.Extra
		one = told
	} else {
		one.Events, one.State, one.CheckedAt = c.Events, s.facts.On, s.config.Now().UTC()
		if s.facts.Expiry != nil {
			one.ExpiresAt = s.config.Now().Add(time.Duration(s.facts.Expiry.Seconds) * time.Second).UTC()
		}
	}
	one.Error = ""
	s.complete(&one, c)
	if err := s.config.Store.PutSubscription(context.WithoutCancel(ctx), &one); err != nil {
		return err
	}
	c.Subscription = one
	return nil
}

// remove ends one. That the provider has it no more is no error.
func (s *subscribed) remove(ctx context.Context, c *Change) error {
	if c.Subscription.URL != s.url {
		return fmt.Errorf("%s: it is not of our address, and is left alone", c.Subscription.ExternalID)
	}
	var err error
	switch {
	case s.facts.Document != nil:
		err = s.leaveDocument(ctx)
	case s.facts.Delete == nil:
		return ErrNoFacts
	default:
		_, err = s.wire.do(ctx, s.facts.Delete, s.values(c))
	}
	if err != nil && !errors.Is(err, errNotThere) {
		return err
	}
	if err := s.config.Store.ForgetSubscription(context.WithoutCancel(ctx), s.name, s.connection, c.Subscription.ExternalID); err != nil {
		return err
	}
	c.Done = true
	s.config.Log.InfoContext(ctx, "subscription.changed", "service", s.name, "connection", s.connection, "did", Remove, "why", c.Why, "subscription", c.Subscription.ExternalID)
	return nil
}
