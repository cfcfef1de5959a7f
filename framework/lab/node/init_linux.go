package node

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// Main is the first process of a lab's namespaces, from its start to its end; specFile is what Spec.Write wrote. It
// returns when the lab is told to stop or could not start; the kernel then ends every process of the lab.
func Main(specFile string) error {
	started := time.Now()
	reports := json.NewEncoder(os.NewFile(ReportFD, "reports"))
	var reportsLock sync.Mutex
	report := func(r Report) {
		reportsLock.Lock()
		defer reportsLock.Unlock()
		r.After = time.Since(started).Seconds()
		// The starter may be gone, which the lease tells.
		_ = reports.Encode(r)
	}
	err := start(specFile, started, report)
	if err != nil {
		report(Report{Error: err.Error()})
	}
	return err
}

func start(specFile string, started time.Time, report func(Report)) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	ctx, abandon := context.WithCancelCause(ctx)
	kept := make(chan struct{})
	go watchLease(os.NewFile(LeaseFD, "lease"), kept, abandon)

	spec, err := ReadSpec(specFile)
	if err != nil {
		return err
	}
	if err := spec.Artifacts.Hold(); err != nil {
		return err
	}
	steps := func(step string, work func() (string, error)) error {
		report(Report{Step: step})
		detail, err := work()
		if err != nil {
			return err
		}
		report(Report{Step: step, Done: true, Detail: detail})
		return nil
	}
	if err := prepare(spec); err != nil {
		return err
	}
	// A part that ends during the start ends the start, and is the cause of whatever else would then time out. Later ones
	// are told by the status.
	startCtx, failed := context.WithCancelCause(ctx)
	defer failed(nil)
	c := &cluster{spec: spec, report: steps, parts: &parts{reaper: newReaper(), logDir: spec.LogDir(), failed: failed}}
	if spec.StoreOnly {
		return c.fillStore(startCtx)
	}
	if err := c.start(startCtx); err != nil {
		// A request that was cut short says only that it was.
		if cause := context.Cause(startCtx); cause != nil && !errors.Is(err, cause) {
			return cause
		}
		return err
	}
	control := &controller{started: started, parts: c.parts, imported: map[string]bool{}}
	for _, archive := range spec.Artifacts.ImageArchives {
		control.imported[archive] = true
	}
	if err := control.serve(spec.ControlSocket()); err != nil {
		return err
	}
	listener, err := net.FileListener(os.NewFile(ListenerFD, "forwarder"))
	if err != nil {
		return fmt.Errorf("take over the forwarder's listener: %w", err)
	}
	go forward(listener, fmt.Sprintf("%s:%d", NodeAddress, APIPort))
	report(Report{Ready: true})
	select {
	case <-kept:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	<-ctx.Done()
	return nil
}

// prepare arranges what the parts find: the root file system, the network, certificates and configuration.
func prepare(spec Spec) error {
	if err := syscall.Sethostname([]byte(NodeName)); err != nil {
		return fmt.Errorf("name the node: %w", err)
	}
	if err := enterRoot(spec); err != nil {
		return err
	}
	if err := setUpNetwork(); err != nil {
		return err
	}
	if err := os.MkdirAll(spec.LogDir(), 0o755); err != nil {
		return err
	}
	if err := writeConfigs(spec); err != nil {
		return err
	}
	return errors.Join(issueAll(spec), issueRouter(spec))
}

// watchLease ends the node when its starter ends before it has said that it keeps the lab.
func watchLease(lease io.Reader, kept chan<- struct{}, abandon context.CancelCauseFunc) {
	line, _ := bufio.NewReader(lease).ReadString('\n')
	if line == KeepWord {
		close(kept)
		return
	}
	abandon(errors.New("the process that started the lab has gone"))
}

// fillStore imports the images into an empty store, so that every later start finds them unpacked.
func (c *cluster) fillStore(ctx context.Context) error {
	containerd, err := c.startContainerd(ctx)
	if err != nil {
		return err
	}
	for _, archive := range c.spec.Artifacts.ImageArchives {
		if err := c.parts.importImages(ctx, archive); err != nil {
			return err
		}
	}
	return containerd.stop(ctx)
}

// controller answers over a socket in the lab's folder: the state of the parts, and imports of images.
type controller struct {
	started time.Time
	parts   *parts
	// imported are the archives of images that the lab has.
	mu       sync.Mutex
	imported map[string]bool
}

func (c *controller) serve(socket string) error {
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return fmt.Errorf("open the lab's control socket (its path may be too long, %d bytes): %w", len(socket), err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		// A client that has gone needs no answer.
		_ = json.NewEncoder(w).Encode(Status{StartedAt: c.started, Ready: true, Parts: c.parts.status()})
	})
	mux.HandleFunc("POST /images", func(w http.ResponseWriter, r *http.Request) {
		if err := c.importImages(r.Context(), r.FormValue("archive")); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			fmt.Fprintln(os.Stderr, "control socket:", err)
		}
	}()
	return nil
}

// importImages imports an archive once.
func (c *controller) importImages(ctx context.Context, archive string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.imported[archive] {
		return nil
	}
	if err := c.parts.importImages(ctx, archive); err != nil {
		return err
	}
	c.imported[archive] = true
	return nil
}

// importImages unpacks the images of an archive into the container runtime's store.
func (p *parts) importImages(ctx context.Context, archive string) error {
	if err := p.run(ctx, "ctr", "/usr/bin/ctr", "--namespace", "k8s.io", "images", "import", archive); err != nil {
		return fmt.Errorf("import images: %w", err)
	}
	return nil
}

// forward hands every connection that listener takes, which is in the host's network, on to an address in the lab's.
func forward(listener net.Listener, address string) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			if !errors.Is(err, net.ErrClosed) {
				fmt.Fprintln(os.Stderr, "forwarder:", err)
			}
			return
		}
		go func() {
			defer conn.Close()
			target, err := net.DialTimeout("tcp", address, 5*time.Second)
			if err != nil {
				return // the client sees its connection close
			}
			defer target.Close()
			done := make(chan struct{})
			go func() {
				defer close(done)
				pipe(target, conn)
			}()
			pipe(conn, target)
			<-done
		}()
	}
}

// pipe copies one direction and passes the end of it on; errors end the copy, and both sides see that.
func pipe(to, from net.Conn) {
	_, _ = io.Copy(to, from)
	if half, ok := to.(*net.TCPConn); ok {
		_ = half.CloseWrite()
	}
}
