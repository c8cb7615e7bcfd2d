package connect

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/google/uuid"

	"github.com/sallyport/sallyport/integration"
)

// Where one credential serves everybody (Service.Own) there is one connection, of
// nobody: tenant and asker are empty. It is made when it is needed first, by
// whichever process that is, and made again when the provider refused it: what
// the operator has to mend lies in the plan's secrets, and nobody would come to
// connect it anew. Those secrets stay where they are; only the token is kept.

// ownSpace makes the ids of such connections the same on every instance, so that
// two that begin at once make one.
var ownSpace = uuid.MustParse("6f0c7f34-5d0e-4b53-9a4e-2f1d8c0b7e61")

func ownID(one *service) string {
	return uuid.NewSHA1(ownSpace, []byte(one.Name+"\x00"+one.Environment)).String()
}

// ownPause is how long a credential that the provider refused is not tried
// again; one that it did not answer to has its breather.
const ownPause = 30 * time.Second

// ownFields are what a tenant would have to give, out of the plan's secrets.
func (s *service) ownFields() (secrets map[string]integration.Secret, variables map[string]string) {
	secrets, variables = map[string]integration.Secret{}, map[string]string{}
	for _, f := range s.fields() {
		switch value := s.Own(f.Name); {
		case value.IsZero():
		case f.Secret:
			secrets[f.Name] = value
		default:
			variables[f.Name] = value.Reveal()
		}
	}
	return secrets, variables
}

// with adds the plan's own secrets to those of a connection.
func (s *service) with(opened map[string]integration.Secret) map[string]integration.Secret {
	if s.Own != nil {
		secrets, _ := s.ownFields()
		maps.Copy(opened, secrets)
	}
	return opened
}

// checkOwn is an error that names what the plan's secrets lack.
func (s *service) checkOwn() error {
	if s.Own == nil {
		return nil
	}
	if s.method == nil || s.needsPerson() {
		return fmt.Errorf("auth.whose: a credential of kind %s can't be asked for once for everybody", s.Auth.Kind)
	}
	if err := s.given(s.ownFields()); err != nil {
		return fmt.Errorf("environments.%s.secrets: %w", s.Environment, err)
	}
	return nil
}

// own returns the id of the connection that serves everybody, and makes it where
// it is not there or not usable.
func (s *Connections) own(ctx context.Context, one *service) (string, error) {
	list, err := s.Store.ConnectionsOf(ctx, one.Name, one.Environment, "")
	if err != nil {
		return "", err
	}
	if id := pick(list); id != "" && list[0].State.Usable() {
		return id, nil
	}
	id := ownID(one)
	if f, ok := s.failures.Load(id); ok && s.Now().Sub(f.(failure).at) < pauseAfter(f.(failure).err) {
		return "", f.(failure).err
	}
	secrets, variables := one.ownFields()
	o := integration.OAuthState{Connection: id, Service: one.Name, Environment: one.Environment, Variables: variables, Scopes: one.Scopes}
	_, err = s.connectWith(ctx, one, o, secrets, ActorMachine)
	switch {
	case errors.Is(err, integration.ErrState), errors.Is(err, integration.ErrFenced):
		return id, nil // another process was faster
	case err != nil:
		s.Log.ErrorContext(ctx, "connection.own", "alert", true, "service", one.Name, "error", err)
		s.failures.Store(id, failure{s.Now(), err})
		return "", err
	}
	return id, nil
}

func pauseAfter(err error) time.Duration {
	if errors.Is(err, errUnanswered) {
		return breather
	}
	return ownPause
}

// Warm asks for the credentials that serve everybody, so that the first call need
// not wait. What fails is logged, and tried again by the calls.
func (s *Connections) Warm(ctx context.Context) {
	for name, one := range s.services {
		if one.Own != nil && ctx.Err() == nil {
			_, _ = s.For(ctx, name, "", "") // own has logged why not
		}
	}
}
