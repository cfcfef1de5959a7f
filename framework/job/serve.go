package job

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// ServeArgument is the hidden word by which the program, in the Job's pod, starts a run, and keeps its results until they are
// collected: the command package hands what follows it to Serve.
const ServeArgument = "__job"

const (
	// readyPort tells the kubelet that the run has ended, and nothing else. resultsPort is open to the pod alone: it is reached
	// by a forwarded port, and so by whom the API server lets.
	readyPort   = 8080
	resultsPort = 8081
	// codeHeader has the exit code of the run.
	codeHeader = "Meshproof-Exit-Code"
)

// keptFor is how long a pod keeps the results of a run that has ended, when nobody collects them.
const keptFor = 10 * time.Minute

// Serve is the main function of the Job's pod: it runs this program with args, and returns the run's exit code when the
// results have been collected.
func Serve(args []string) (code int, err error) {
	program, err := os.Executable()
	if err != nil {
		return 0, fmt.Errorf("find the running program: %w", err)
	}
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return serve(cmd, resultsDir, fmt.Sprintf(":%d", readyPort), fmt.Sprintf("127.0.0.1:%d", resultsPort), keptFor)
}

// keeper has a run that goes on, or its results.
type keeper struct {
	results   string
	ended     chan struct{} // closed when the run has ended, and code is known
	code      int
	collected chan struct{}
	taken     sync.Once
	// interrupts are those that whoever started the Job asks for; once the run has ended they are of no use.
	interrupts chan struct{}
}

func serve(run *exec.Cmd, results, readyAddress, resultsAddress string, kept time.Duration) (int, error) {
	k := &keeper{results: results, ended: make(chan struct{}), collected: make(chan struct{}), interrupts: make(chan struct{}, 4)}
	for address, handler := range map[string]http.Handler{readyAddress: k.outside(), resultsAddress: k.inside()} {
		listener, err := net.Listen("tcp", address)
		if err != nil {
			return 0, fmt.Errorf("open a port of the Job's pod: %w", err)
		}
		defer listener.Close()
		server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
		go func() { _ = server.Serve(listener) }() // until the process ends
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	defer signal.Stop(signals)
	run.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := run.Start(); err != nil {
		return 0, fmt.Errorf("start the run: %w", err)
	}
	waited := make(chan error, 1)
	go func() { waited <- run.Wait() }()
	for {
		select {
		case received := <-signals:
			_ = run.Process.Signal(received) // it may have ended already
			continue
		case <-k.interrupts:
			_ = run.Process.Signal(syscall.SIGINT)
			continue
		case err := <-waited:
			var exit *exec.ExitError
			if err != nil && !errors.As(err, &exit) {
				return 0, fmt.Errorf("wait for the run: %w", err)
			}
		}
		break
	}
	k.code = run.ProcessState.ExitCode()
	if k.code < 0 { // a signal ended it, which nobody but the kernel sends
		k.code = killed
	}
	close(k.ended)
	select {
	case <-k.collected:
	case <-signals:
	case <-time.After(kept):
		fmt.Fprintf(os.Stderr, "meshproof: nobody has collected the results within %s\n", kept)
	}
	return k.code, nil
}

// killed is the exit code of a run that was killed.
const killed = 128 + int(syscall.SIGKILL)

// outside is what the kubelet asks.
func (k *keeper) outside() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ready", func(w http.ResponseWriter, _ *http.Request) {
		select {
		case <-k.ended:
		default:
			http.Error(w, "the run goes on", http.StatusServiceUnavailable)
		}
	})
	return mux
}

// inside is what whoever started the Job asks.
func (k *keeper) inside() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /interrupt", func(http.ResponseWriter, *http.Request) {
		select {
		case k.interrupts <- struct{}{}:
		default: // it has been told often enough
		}
	})
	mux.HandleFunc("POST /collected", func(http.ResponseWriter, *http.Request) { k.taken.Do(func() { close(k.collected) }) })
	mux.HandleFunc("GET /results", func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-k.ended:
		default:
			http.Error(w, "the run goes on", http.StatusConflict)
			return
		}
		w.Header().Set(codeHeader, strconv.Itoa(k.code))
		w.Header().Set("Content-Type", "application/x-tar")
		if err := pack(w, k.results); err != nil {
			// The answer has begun: only its end can tell that it is not whole.
			fmt.Fprintln(os.Stderr, "meshproof: hand out the results:", err)
			panic(http.ErrAbortHandler)
		}
	})
	return mux
}

// pack writes a folder's files and folders; a link, such as the one to the latest run, is left to who unpacks it. A folder
// that is not there is empty: a run that was refused has no results.
func pack(w io.Writer, folder string) error {
	archive := tar.NewWriter(w)
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && path == folder {
			return filepath.SkipAll
		}
		if err != nil || !entry.IsDir() && !entry.Type().IsRegular() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		header, err := tar.FileInfoHeader(info, "")
		if err != nil {
			return err
		}
		name, err := filepath.Rel(folder, path)
		if err != nil || name == "." {
			return err
		}
		header.Name = filepath.ToSlash(name)
		if err := archive.WriteHeader(header); err != nil || entry.IsDir() {
			return err
		}
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer file.Close()
		_, err = io.Copy(archive, file)
		return err
	})
	return errors.Join(err, archive.Close())
}
