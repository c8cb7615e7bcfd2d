package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport"
	"github.com/sallyport/sallyport/config"
)

func newServe(ui *terminal) *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use: "serve", Short: "Run the gateway", GroupID: "run", Args: cobra.NoArgs,
		Long: `Run the gateway: webhooks in, calls out, as the plans say.

Every setting has a flag, a SALLYPORT_… variable and a key in the file; a flag wins over the variable, the variable over the file.
The start fails, with every problem listed, when a plan does not load, a secret is missing, or a key belongs to another environment.
SIGHUP reads the secrets again.`,
		Example: `  sallyport serve --plans integrations --environment development
  SALLYPORT_LISTEN=:8080 sallyport serve --config sallyport.yaml --environment production`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig(cmd, file)
			if err != nil {
				return err
			}
			return serve(cmd.Context(), ui, c)
		},
	}
	cmd.Flags().StringVar(&file, "config", os.Getenv("SALLYPORT_CONFIG"), "settings file, YAML (SALLYPORT_CONFIG)")
	for _, s := range config.Settings() {
		cmd.Flags().String(s.Flag(), s.Default, s.Help+" ("+s.Variable()+")")
	}
	if err := cmd.MarkFlagDirname("plans"); err != nil {
		panic(err)
	}
	fixedCompletion(cmd, "log-level", "debug", "info", "warn", "error")
	fixedCompletion(cmd, "log-format", "auto", "text", "json")
	return cmd
}

// loadConfig merges file, environment and the flags that were really given.
func loadConfig(cmd *cobra.Command, file string) (config.Config, error) {
	given := map[string]string{}
	for _, s := range config.Settings() {
		if f := cmd.Flags().Lookup(s.Flag()); f != nil && f.Changed {
			given[s.Key] = f.Value.String()
		}
	}
	return config.Load(file, os.LookupEnv, given)
}

func serve(ctx context.Context, ui *terminal, c config.Config) error {
	log, flush := newLogger(ui, c)
	defer flush()
	app, err := sallyport.New(ctx, sallyport.Config{
		Plans: c.Plans, Environment: c.Environment, Database: c.Database, PublicURL: c.PublicURL, Redis: c.Redis, Keyset: c.Keyset, MetricsOpen: c.MetricsOpen, ErasureKeys: c.ErasureKeys, ReturnURLs: c.ReturnURLs, ProxyBodyLimit: c.ProxyLimit, ProxyDomains: c.ProxyDomain,
		BodyLimit: c.BodyLimit, WebhookLimit: c.Webhook, WebhookMemory: c.WebhookAll, Forwarders: c.Forwarders, NoRetention: !c.Retention, CallRetention: c.KeepCalls, Queue: c.Queue, Workers: c.Workers, Grace: c.Grace, Log: log, Version: buildVersion(),
	})
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", c.Listen)
	if err != nil {
		return fmt.Errorf("--listen %s: %w", c.Listen, closed(app, err))
	}
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	go func() {
		for range hangup {
			if err := app.ReloadSecrets(); err != nil {
				log.Error("secrets.reload", "error", err)
				continue
			}
			log.Info("secrets.reload")
		}
	}()
	ui.print("sallyport %s serves %s in %s on http://%s", buildVersion(), strings.Join(app.Services(), ", "), c.Environment, listener.Addr())
	return app.Serve(ctx, listener)
}

// closed closes the app after a failed start and returns why it failed.
func closed(app *sallyport.App, why error) error {
	if err := app.Close(); err != nil {
		return fmt.Errorf("%w (and %w)", why, err)
	}
	return why
}
