package connect

import (
	"context"
	"encoding/json"
	"log/slog"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/sallyport/sallyport/integration"
)

// Changed is the data of an event about a connection's state.
type Changed struct {
	Connection  string `json:"connection"`
	Service     string `json:"service"`
	Environment string `json:"environment"`
	Tenant      string `json:"tenant"`
	State       string `json:"state"`
	Before      string `json:"before,omitempty"` // empty: it is new
	Reason      string `json:"reason,omitempty"`
}

// change is a change that is being made. It adds what belongs to every change of
// state: a line of the audit log, the event, and after the write the log.
type change struct {
	integration.ConnectionChange
	before integration.ConnectionState
	actor  string
	// polls says that the connection works and waits for a device flow besides:
	// other tasks wait until that is over.
	polls bool
	told  bool // the event is sent also where the state stays
}

// changing begins a change of a connection that was read; actor is who makes it.
func (s *Connections) changing(c integration.Connection, actor string) *change {
	c.UpdatedAt = s.Now().UTC()
	return &change{
		ConnectionChange: integration.ConnectionChange{Connection: c}, before: c.State, actor: actor,
		polls: c.Task == integration.TaskCheck && c.State.Usable(),
	}
}

// to puts the connection into a state, for a reason.
func (ch *change) to(state integration.ConnectionState, reason string) {
	ch.Connection.State, ch.Connection.Reason = state, reason
}

// due says what the connection is to be worked on for, and when.
func (ch *change) due(task integration.ConnectionTask, at time.Time) {
	if at.IsZero() {
		task = integration.TaskNone
	}
	if ch.polls && !ch.DropAll && task != integration.TaskRevoke {
		return
	}
	if ch.Connection.Task != task {
		ch.Connection.Attempts = 0
	}
	ch.Connection.Task, ch.Connection.DueAt = task, at
}

// finish completes a change of state before it is written.
func (s *Connections) finish(ch *change, action string) {
	c := &ch.Connection
	if ch.before == c.State && action == "" {
		return
	}
	if action == "" {
		action = "connection." + string(c.State)
	}
	detail := string(c.State)
	if ch.before != "" && ch.before != c.State {
		detail = string(ch.before) + " to " + detail
	}
	if c.Reason != "" {
		detail += ": " + c.Reason
	}
	ch.Audit = &integration.AuditEntry{ID: newID(), At: c.UpdatedAt, Actor: ch.actor, Action: action, Target: c.ID, Detail: detail}
	one := s.services[c.Service]
	if ch.before == c.State && !ch.told || one == nil || one.Tell == "" {
		return
	}
	payload, err := json.Marshal(Changed{
		Connection: c.ID, Service: c.Service, Environment: c.Environment, Tenant: c.Tenant,
		State: string(c.State), Before: string(ch.before), Reason: c.Reason,
	})
	if err == nil {
		about := c.ID + ":" + strconv.FormatInt(c.Version+1, 10)
		ch.Event = integration.OwnEvent(newID(), c.Service, one.Tell, integration.EventConnection, about, c.Tenant, c.UpdatedAt, payload)
	}
}

// tell logs a change of state that was written. What a person has to act upon
// is an error with alert=true, and so is that it is well again (R2.5).
func (s *Connections) tell(ctx context.Context, ch *change) {
	c := &ch.Connection
	s.memory.forget(c)
	if ch.before == c.State {
		return
	}
	level, alert := slog.LevelInfo, false
	switch {
	case c.State == integration.ConnectionNeedsReauth, c.State == integration.ConnectionDisconnected && !ch.byPerson(), c.State == integration.ConnectionExpiring:
		level, alert = slog.LevelError, true
	case ch.before != "" && c.State == integration.ConnectionConnected:
		alert = true
	}
	s.Log.LogAttrs(ctx, level, "connection."+string(c.State), slog.Bool("alert", alert), slog.String("connection", c.ID), slog.String("service", c.Service),
		slog.String("tenant", c.Tenant), slog.String("before", string(ch.before)), slog.String("reason", c.Reason), slog.String("actor", ch.actor))
}

// byPerson reports whether somebody asked for the change.
func (ch *change) byPerson() bool { return ch.actor != ActorMachine }

// ActorMachine is who the audit log names for what nobody asked for.
const ActorMachine = "sallyport"

// write writes a change of a connection that is there.
func (s *Connections) write(ctx context.Context, ch *change, action string) error {
	s.finish(ch, action)
	if err := s.Store.ChangeConnection(ctx, ch.ConnectionChange); err != nil {
		return err
	}
	s.tell(ctx, ch)
	if !ch.Connection.DueAt.IsZero() {
		s.Wake()
	}
	return nil
}

func newID() string { return uuid.Must(uuid.NewV7()).String() }
