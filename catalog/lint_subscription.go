package catalog

// subscription checks what can't be left out where one subscribes over the API.
func (l *linter) subscription(s *Subscription) {
	const at = "webhooks.subscription"
	need := func(path, value, why string) {
		if value == "" {
			l.add(at+path, "required", "%s", why)
		}
	}
	if d := s.Document; d != nil {
		if d.Read == nil || d.Write == nil {
			l.add(at+".document", "required", "a document is read and written: name both calls")
		}
		need(".document.at", d.At, "say where the answer to read has the document")
		need(".document.id", d.ID, "say what the document is known by")
		need(".document.part", d.Part, "say which part of the document is the subscription")
		need(".url", s.URL, "say where the document has the address")
		need(".events", s.Events, "say where the document has the types of events")
		if s.List != "" || s.Create != nil || s.Update != nil || s.Delete != nil {
			l.add(at+".document", "contradiction", "a subscription is a part of a document, or has calls of its own")
		}
		if len(d.Kinds) > 0 {
			need(".document.scopes", d.Scopes, "kinds are chosen by scopes: say where the document has them")
		}
	}
	c := s.Credential
	if c == nil {
		return
	}
	need(".credential.secret", c.Secret, "name the secret that has the token")
	need(".credential.new", c.New, "say how a person makes a new token")
	need(".by_hand", s.ByHand, "say what a person does who does not give the credential")
	if r := c.Renew; r != nil && (r.Secret == "" || r.Call == "" || r.Field == "" || r.Token == "" || r.Next == "" || r.Expires == "") {
		l.add(at+".credential.renew", "required", "a renewal needs secret, call, field, token, next and expires")
	}
}
