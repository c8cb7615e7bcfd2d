package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/vault"
	"github.com/sallyport/sallyport/verify"
)

// verifyFlags are what the command was told.
type verifyFlags struct {
	request, publicURL, now, output string
	secrets                         []string
	config                          map[string]string
	offline                         bool
	transport                       http.RoundTripper // of published keys; nil: guarded
}

func newVerify(ui *terminal) *cobra.Command {
	f := verifyFlags{}
	cmd := &cobra.Command{
		Use: "verify PROVIDER", Short: "Say whether a captured webhook verifies, and why not", GroupID: "look", Args: cobra.ExactArgs(1),
		Long: `Say whether a captured webhook verifies with the provider's scheme, step by step, and what is likely wrong when it does not.

The request is a raw HTTP message, JSON with method, url, headers and body (or body_base64), or an entry of a HAR file. It is sent
nowhere. Where a provider publishes its public keys they are fetched, from the hosts that its profile names and never from a private
address; with --offline they are not, and you give the key as the secret.

Exit status: 0 when it verifies, 1 when it does not, 2 when the input can't be used.`,
		Example: `  sallyport verify stripe --request webhook.http --secret env:STRIPE_WEBHOOK_SECRET
  sallyport verify twilio --request webhook.json --secret file:/run/secrets/twilio --public-url https://hooks.example.com
  sallyport verify github --request - --secret env:GITHUB_WEBHOOK_SECRET --output json < webhook.http`,
		ValidArgsFunction: completeProviders,
		RunE: func(cmd *cobra.Command, args []string) error {
			return runVerify(cmd.Context(), ui, args[0], f)
		},
	}
	cmd.Flags().StringVar(&f.request, "request", "", "file of the captured request; - is standard input")
	cmd.Flags().StringArrayVar(&f.secrets, "secret", nil, "reference of a signing secret or public key: env:NAME, file:PATH; repeat for several")
	cmd.Flags().StringToStringVar(&f.config, "config", nil, "value that is signed and not sent, name=value: webhook_id=…")
	cmd.Flags().StringVar(&f.publicURL, "public-url", "", "address the provider calls, when the request shows another")
	cmd.Flags().StringVar(&f.now, "now", "", "time to check at, RFC 3339 or Unix seconds; the present when empty")
	cmd.Flags().BoolVar(&f.offline, "offline", false, "fetch no public keys")
	cmd.Flags().StringVar(&f.output, "output", "text", "text or json")
	fixedCompletion(cmd, "output", "text", "json")
	return cmd
}

// verified is what one scheme of the provider has to say.
type verified struct {
	Scheme string `json:"scheme"` // verify, or the variant's name
	verify.Explanation
	unsigned bool
}

func runVerify(ctx context.Context, ui *terminal, provider string, f verifyFlags) error {
	if f.request == "" {
		return errors.New("--request is missing: name the file of the captured request")
	}
	if f.output != "text" && f.output != "json" {
		return fmt.Errorf("--output: %q is not one of text, json", f.output)
	}
	profile, err := catalog.Load(provider)
	if err != nil {
		return err
	}
	if profile.Webhooks == nil {
		return fmt.Errorf("%s sends no webhooks, as far as its profile knows", profile.Name)
	}
	given, err := givenBy(f)
	if err != nil {
		return err
	}
	if given.Keys, err = publishedKeys(profile.Webhooks, f); err != nil {
		return err
	}
	r, note, err := readCapture(f.request, ui.in)
	if err != nil {
		return err
	}
	r.Config = f.config
	if f.publicURL != "" {
		if err := movePublic(r, f.publicURL); err != nil {
			return err
		}
	}
	all, err := explainAll(ctx, profile.Webhooks, r, given)
	if err != nil {
		return err
	}
	chosen := choose(all)
	if f.output == "json" {
		err = json.NewEncoder(ui.out).Encode(map[string]any{"provider": profile.ID, "valid": chosen.Valid, "schemes": all})
	} else {
		showVerified(ui, profile, chosen, all, note)
	}
	if err == nil && !chosen.Valid {
		err = &exitError{code: 1}
	}
	return err
}

func givenBy(f verifyFlags) (verify.Given, error) {
	given := verify.Given{Now: time.Now()}
	for _, reference := range f.secrets {
		secret, err := vault.Resolve(reference, os.LookupEnv)
		if err != nil {
			return given, fmt.Errorf("--secret: %w", err)
		}
		given.Secrets = append(given.Secrets, secret)
	}
	if given.Secrets == nil {
		given.Secrets = []integration.Secret{}
	}
	if f.now == "" {
		return given, nil
	}
	if n, err := strconv.ParseInt(f.now, 10, 64); err == nil {
		given.Now = time.Unix(n, 0)
		return given, nil
	}
	at, err := time.Parse(time.RFC3339, f.now)
	if err != nil {
		return given, fmt.Errorf("--now: %q is neither RFC 3339 (2026-11-24T09:00:00Z) nor Unix seconds", f.now)
	}
	given.Now = at
	return given, nil
}

// movePublic puts the public address in front of the request's path and query.
func movePublic(r *verify.Request, public string) error {
	base, err := url.Parse(public)
	if err != nil || base.Host == "" || base.RawQuery != "" {
		return fmt.Errorf("--public-url: %q is no address such as https://hooks.example.com", public)
	}
	path := r.URL
	if _, after, ok := strings.Cut(r.URL, "://"); ok {
		_, after, _ = strings.Cut(after, "/")
		path = "/" + after
	}
	r.SetURL(strings.TrimSuffix(public, "/") + path)
	return nil
}

func explainAll(ctx context.Context, facts *catalog.Webhooks, r *verify.Request, given verify.Given) ([]verified, error) {
	schemes := []catalog.VerifyVariant{{Name: "verify", Verify: facts.Verify}}
	schemes = append(schemes, facts.Variants...)
	var all []verified
	var unusable error
	for _, v := range schemes {
		scheme, err := verify.Compile(v.Verify)
		if err != nil {
			unusable = errors.Join(unusable, fmt.Errorf("%s: %w", v.Name, err))
			continue
		}
		copied := &verify.Request{Method: r.Method, URL: r.URL, Header: r.Header, Body: r.Body, Config: maps.Clone(r.Config)}
		err = scheme.VerifyWith(ctx, copied, given)
		all = append(all, verified{Scheme: v.Name, Explanation: scheme.Explain(ctx, copied, given), unsigned: errors.Is(err, verify.ErrUnsigned)})
	}
	if len(all) == 0 {
		return nil, unusable
	}
	return all, nil
}

// choose is the scheme to tell about: one that verifies, else one that the
// request is signed in, else the provider's own.
func choose(all []verified) verified {
	for _, v := range all {
		if v.Valid {
			return v
		}
	}
	for _, v := range all {
		if !v.unsigned {
			return v
		}
	}
	return all[0]
}

func showVerified(ui *terminal, profile *catalog.Profile, chosen verified, all []verified, note string) {
	rows := make([][]string, 0, len(chosen.Steps))
	for _, s := range chosen.Steps {
		mark := styleGood.Render("✓")
		if !s.OK {
			mark = styleBad.Render("✗")
		}
		rows = append(rows, []string{mark, s.Name, s.Detail})
	}
	ui.table([]string{"", "STEP", "FOUND"}, rows)
	if note != "" {
		ui.say("%s %s", styleDim.Render("note:"), note)
	}
	for _, other := range all {
		if other.Scheme != chosen.Scheme {
			ui.say("%s %s: %s", styleDim.Render("also tried"), other.Scheme, orElse(other.Error, "it verifies"))
		}
	}
	if chosen.Valid {
		ui.print("%s verifies as a webhook of %s", styleGood.Render("✓"), profile.Name)
		return
	}
	ui.print("%s does not verify: %s", styleBad.Render("✗"), chosen.Error)
	for i, reason := range chosen.Reasons {
		what := "perhaps"
		if i == 0 && chosen.Proven {
			what = "because"
		}
		ui.print("  %s: %s", what, reason)
	}
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
