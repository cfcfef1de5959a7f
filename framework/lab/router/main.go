// Command router is the lab's OpenShift router: it serves Routes by a real HAProxy, as OpenShift's own does, and writes
// their status. It is a program of the lab's own because OpenShift's router is not to be had as a Go module.
//
// It is the only router of its cluster, knows every Route, and ends when its HAProxy does. HAProxy's access log is its
// standard output (see package accesslog); its own log is its standard error.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"k8s.io/client-go/rest"
)

func main() {
	log.SetFlags(log.Ltime | log.Lmicroseconds)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	err := run(ctx, os.Args[1:])
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		log.Fatalln("router:", err)
	}
}

// run serves until ctx is done.
func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("router", flag.ContinueOnError)
	certificates := flags.String("default-certificate", "/etc/pki/tls/private", "`folder` of tls.crt and tls.key, for hosts without a certificate of their own")
	serviceCA := flags.String("service-ca", "/var/run/configmaps/service-ca/service-ca.crt", "`file` of the authority of servers whose Route names none; it may be missing")
	canonicalHost := flags.String("canonical-hostname", "router-default.apps.mesh.lab", "`name` of the router in the status of Routes")
	dir := flags.String("dir", "/var/lib/haproxy", "`folder` for configurations and sockets")
	program := flags.String("haproxy", "/usr/sbin/haproxy", "`path` of HAProxy")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	runDir := filepath.Join(*dir, "run")
	settings, err := readSettings(runDir, *certificates, *serviceCA)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(runDir, 0o700); err != nil {
		return fmt.Errorf("make the folder of HAProxy's sockets: %w", err)
	}
	config, err := rest.InClusterConfig()
	if err != nil {
		return fmt.Errorf("find the API server (the router runs in a pod): %w", err)
	}
	config.QPS, config.Burst = -1, -1 // the API server has priority and fairness
	cluster, err := connect(config)
	if err != nil {
		return err
	}
	c := &controller{
		settings: settings, canonicalHost: *canonicalHost, cluster: cluster,
		haproxy: &haproxy{program: *program, dir: filepath.Join(*dir, "conf"), runDir: runDir, ended: make(chan *worker)},
	}
	return c.run(ctx)
}

// readSettings reads the files that do not change while the router runs.
func readSettings(runDir, certificates, serviceCA string) (settings, error) {
	certificate, err := os.ReadFile(filepath.Join(certificates, "tls.crt"))
	if err != nil {
		return settings{}, fmt.Errorf("read the default certificate: %w", err)
	}
	key, err := os.ReadFile(filepath.Join(certificates, "tls.key"))
	if err != nil {
		return settings{}, fmt.Errorf("read the default certificate's key: %w", err)
	}
	authority, err := os.ReadFile(serviceCA)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return settings{}, fmt.Errorf("read the service CA: %w", err)
	}
	return settings{runDir: runDir, defaultCertificate: pemFile(string(certificate), string(key)), serviceCA: string(authority)}, nil
}
