package oauth_test

import (
	"context"
	"fmt"
	"net/url"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/sallyport/sallyport/test/services"
)

// onPostgres is the test whose subtests keep everything in a PostgreSQL.
const onPostgres = "TestOnPostgreSQL"

var databases atomic.Int64

// postgresDatabase makes an empty database in the server that all tests share.
func postgresDatabase(t testing.TB) string {
	t.Helper()
	server := services.SharedPostgres(t)
	conn, err := pgx.Connect(context.Background(), server.DSN())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	name := fmt.Sprint("oauth_", databases.Add(1))
	if _, err := conn.Exec(context.Background(), "CREATE DATABASE "+name); err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(server.DSN())
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	q := u.Query()
	q.Set("pool_max_conns", "10")
	u.RawQuery = q.Encode()
	return u.String()
}

// R2.4, R2.5, R2.6: what depends on the store, on the one that instances share.
func TestOnPostgreSQL(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]func(*testing.T){
		"state replay": TestStateReplay, "unbound flow": TestUnboundFlow, "other session": TestOtherSession, "other tenant": TestOtherTenant,
		"stampede": TestStampede, "refused": TestRefused, "crash": TestCrashAtEachStep, "fenced off": TestSlowHolderIsFencedOff,
		"provider down": TestProviderDown, "withdrawn": TestWithdrawn, "job": TestJob, "revocation": TestRevocationIsRetried, "disconnect": TestDisconnectDuringRenewal,
		"device": TestDeviceFlow, "device ends": TestDeviceFlowEnds, "device slows": TestDeviceFlowSlowsDown, "device and renewal": TestDeviceFlowBesideRenewal, "device canceled": TestDeviceFlowCanceled,
		"everybody at once": TestOneForEverybodyAtOnce, "everybody refused": TestOneForEverybodyRefused,
	} {
		t.Run(name, test)
	}
}
