package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/sallyport/sallyport/api/connectpage"
	"github.com/sallyport/sallyport/connect"
	"github.com/sallyport/sallyport/credential/oauth"
	"github.com/sallyport/sallyport/integration"
)

// mostForm is the most bytes of a filled-in form; a private key has 3 kB.
const mostForm = 64 << 10

// browserCookie is the name of the cookie that ties a flow to a browser. The
// prefix makes browsers refuse one that another host of the domain sets.
func (s *server) browserCookie() string {
	if s.secure() {
		return "__Host-sallyport-connect"
	}
	return "sallyport-connect"
}

// browser returns the cookie of a browser and gives one to who has none.
func (s *server) browser(w http.ResponseWriter, r *http.Request) string {
	if c, err := r.Cookie(s.browserCookie()); err == nil && len(c.Value) >= 32 && len(c.Value) <= 64 {
		return c.Value
	}
	value := oauth.NewState()
	http.SetCookie(w, &http.Cookie{
		Name: s.browserCookie(), Value: value, Path: "/", MaxAge: int((24 * time.Hour).Seconds()), HttpOnly: true, Secure: s.secure(),
		SameSite: http.SameSiteLaxMode, // it has to come along when the provider sends the person back
	})
	return value
}

// callback ends what a provider sent a person back for.
func (s *server) callback(w http.ResponseWriter, r *http.Request) {
	cookie := ""
	if c, err := r.Cookie(s.browserCookie()); err == nil {
		cookie = c.Value
	}
	s.ended(w, s.Connections.Callback(r.Context(), r.URL.Query(), cookie), true)
}

// ended tells the browser how a flow ended.
func (s *server) ended(w http.ResponseWriter, e connect.Ended, redirect bool) {
	if e.Redirect != "" && redirect {
		connectpage.Header(w.Header())
		w.Header().Set("Location", e.Redirect)
		w.WriteHeader(http.StatusSeeOther)
		return
	}
	status, page := wordsFor(e)
	page.Next, page.Label = e.Redirect, "Go on"
	connectpage.WriteResult(w, status, page)
}

// wordsFor says how a flow ended in words for the person.
func wordsFor(e connect.Ended) (int, connectpage.Result) {
	switch e.Outcome {
	case connect.EndedConnected:
		return http.StatusOK, connectpage.Result{Title: "Connected", Text: "The connection to " + e.Service + " works. You can close this page."}
	case connect.EndedDenied:
		return http.StatusOK, connectpage.Result{Title: "Not connected", Text: "You chose not to connect " + e.Service + ". Nothing was kept."}
	case connect.EndedExpired:
		return http.StatusBadRequest, connectpage.Result{Title: "This link does not work any more", Text: "It was used already, or it has expired. Go back to where you came from and begin again."}
	case connect.EndedBrowser:
		return http.StatusBadRequest, connectpage.Result{Title: "Begun in another browser", Text: "For your safety a connection ends in the browser in which it began. Open the link again here and begin anew."}
	case connect.EndedDown:
		return http.StatusBadGateway, connectpage.Result{Title: "Not connected", Text: e.Service + " did not answer. Nothing was kept; try again in a while."}
	case connect.EndedInternal:
		return http.StatusServiceUnavailable, connectpage.Result{Title: "Not connected", Text: "Something went wrong on our side. Go back and begin again in a while."}
	}
	return http.StatusOK, connectpage.Result{Title: "Not connected", Text: e.Service + " did not allow the connection. Nothing was kept. The reason stands in the log of who runs this."}
}

// showPage asks for what a connection needs. Where nothing has to be asked, the
// browser goes on to the provider at once.
func (s *server) showPage(w http.ResponseWriter, r *http.Request) {
	token := r.PathValue("token")
	page, err := s.Connections.Page(r.Context(), token)
	if err != nil {
		s.pageFailed(w, r, err)
		return
	}
	if page.Ended != nil {
		s.ended(w, *page.Ended, false)
		return
	}
	if d := page.Device; d != nil {
		address := d.CompleteURI
		if address == "" {
			address = d.VerificationURI
		}
		connectpage.WriteCode(w, connectpage.Code{Service: page.Service, Code: d.UserCode, Address: d.VerificationURI, Link: address, Until: d.Expires})
		return
	}
	if page.Leave && len(page.Fields) == 0 {
		ended, err := s.Connections.Submit(r.Context(), token, nil, nil, s.browser(w, r))
		if err != nil {
			s.pageFailed(w, r, err)
			return
		}
		s.ended(w, ended, true)
		return
	}
	connectpage.WriteForm(w, http.StatusOK, pageForm(page, nil, nil))
}

func pageForm(page connect.Page, filled map[string]string, problems []string) connectpage.Form {
	f := connectpage.Form{Service: page.Service, Problems: problems, Leave: page.Leave}
	for _, field := range page.Fields {
		one := connectpage.Field{
			Name: field.Name, Label: field.Label, Secret: field.Secret, Lines: field.Lines, Optional: field.Optional, Values: field.Values,
		}
		if field.Example != "" {
			one.Hint = "For example " + field.Example
		}
		if !field.Secret {
			one.Value = page.Given[field.Name]
			if v, ok := filled[field.Name]; ok {
				one.Value = v
			}
		}
		f.Fields = append(f.Fields, one)
	}
	return f
}

// takePage takes a filled-in form. A form of another site is refused.
func (s *server) takePage(w http.ResponseWriter, r *http.Request) {
	if err := http.NewCrossOriginProtection().Check(r); err != nil {
		connectpage.WriteResult(w, http.StatusForbidden, connectpage.Result{Title: "Not connected", Text: "The form was sent from another site."})
		return
	}
	token := r.PathValue("token")
	page, err := s.Connections.Page(r.Context(), token)
	if err != nil {
		s.pageFailed(w, r, err)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, mostForm)
	if err := r.ParseForm(); err != nil {
		connectpage.WriteForm(w, http.StatusBadRequest, pageForm(page, nil, []string{"the form is too large or can't be read"}))
		return
	}
	if r.PostForm.Get("do") == "decline" {
		ended, err := s.Connections.Decline(r.Context(), token)
		if err != nil {
			s.pageFailed(w, r, err)
			return
		}
		s.ended(w, ended, false)
		return
	}
	s.submit(w, r, token, page)
}

func (s *server) submit(w http.ResponseWriter, r *http.Request, token string, page connect.Page) {
	secrets, variables := map[string]integration.Secret{}, map[string]string{}
	for _, field := range page.Fields {
		value := r.PostForm.Get(field.Name)
		switch {
		case value == "":
		case field.Secret:
			secrets[field.Name] = integration.NewSecret(value)
		default:
			variables[field.Name] = value
		}
	}
	ended, err := s.Connections.Submit(context.WithoutCancel(r.Context()), token, secrets, variables, s.browser(w, r))
	var wrong *connect.RequestError
	var refused *connect.RefusedError
	switch {
	case errors.As(err, &wrong):
		connectpage.WriteForm(w, http.StatusUnprocessableEntity, pageForm(page, variables, wrong.Problems))
	case errors.As(err, &refused):
		connectpage.WriteForm(w, http.StatusUnprocessableEntity, pageForm(page, variables, []string{refused.Error()}))
	case connect.Unanswered(err):
		connectpage.WriteForm(w, http.StatusBadGateway, pageForm(page, variables, []string{page.Service + " did not answer; try again in a while"}))
	case err != nil:
		s.pageFailed(w, r, err)
	case ended.Outcome == "": // on to the provider
		connectpage.WriteResult(w, http.StatusOK, connectpage.Result{
			Title: "On to " + page.Service, Text: "You go on to " + page.Service + " to allow the connection.", Next: ended.Redirect, Label: "Go on",
		})
	default:
		s.ended(w, ended, false)
	}
}

func (s *server) pageFailed(w http.ResponseWriter, r *http.Request, err error) {
	e := connect.Ended{Outcome: connect.EndedExpired}
	if !errors.Is(err, connect.ErrLink) {
		s.Log.Error("api.connect", "request_id", requestID(r.Context()), "error", err)
		e.Outcome = connect.EndedInternal
	}
	s.ended(w, e, false)
}
