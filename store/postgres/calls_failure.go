package postgres

import (
	"errors"
	"net/http"
	"time"

	"github.com/sallyport/sallyport/integration"
)

// answerRow is an integration.Answer as JSON, less its body and its end.
type answerRow struct {
	Status int         `json:"status"`
	Header http.Header `json:"header,omitempty"`
	Cut    bool        `json:"cut,omitempty"`
}

// failureRow is an integration.Failure as JSON; its cause is kept as text.
type failureRow struct {
	Class             integration.Class `json:"class"`
	Code              string            `json:"code,omitempty"`
	Message           string            `json:"message,omitempty"`
	Hint              string            `json:"hint,omitempty"`
	Pointer           string            `json:"pointer,omitempty"`
	RetryAfterMicros  int64             `json:"retry_after_us,omitempty"`
	ProviderCode      string            `json:"provider_code,omitempty"`
	ProviderMessage   string            `json:"provider_message,omitempty"`
	ProviderRequestID string            `json:"provider_request_id,omitempty"`
	Cause             string            `json:"cause,omitempty"`
}

func newFailureRow(f *integration.Failure) failureRow {
	row := failureRow{
		Class: f.Class, Code: f.Code, Message: f.Message, Hint: f.Hint, Pointer: f.Pointer, RetryAfterMicros: f.RetryAfter.Microseconds(),
		ProviderCode: f.ProviderCode, ProviderMessage: f.ProviderMessage, ProviderRequestID: f.ProviderRequestID,
	}
	if f.Err != nil {
		row.Cause = f.Err.Error()
	}
	return row
}

func (row failureRow) failure() *integration.Failure {
	f := &integration.Failure{
		Class: row.Class, Code: row.Code, Message: row.Message, Hint: row.Hint, Pointer: row.Pointer,
		RetryAfter:   time.Duration(row.RetryAfterMicros) * time.Microsecond,
		ProviderCode: row.ProviderCode, ProviderMessage: row.ProviderMessage, ProviderRequestID: row.ProviderRequestID,
	}
	if row.Cause != "" {
		f.Err = errors.New(row.Cause)
	}
	return f
}
