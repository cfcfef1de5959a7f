package command

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/meshproof/meshproof/framework/lab/build"
)

// progress writes what long work is doing: on a terminal one live line for all that is under way, elsewhere one line
// per finished step, and a line now and then for a step that takes long, so that a CI log is neither empty nor flooded.
type progress struct {
	mu      sync.Mutex
	out     io.Writer
	live    bool
	width   int
	started time.Time
	active  []*progressStep
	drawn   bool
}

// livePeriod is how often the live line is drawn anew, so that its seconds go on.
const livePeriod = 200 * time.Millisecond

// newProgress writes to out; it is live when out is a terminal that can move its cursor.
func newProgress(out *os.File) *progress {
	p := &progress{out: out, started: time.Now(), width: 100}
	if term.IsTerminal(int(out.Fd())) && os.Getenv("TERM") != "dumb" {
		p.live = true
		if width, _, err := term.GetSize(int(out.Fd())); err == nil && width > 20 {
			p.width = width
		}
		go p.tick()
	}
	return p
}

// tick keeps the live line moving as long as the program runs.
func (p *progress) tick() {
	for range time.Tick(livePeriod) {
		p.mu.Lock()
		p.draw()
		p.mu.Unlock()
	}
}

// around lets write print to the same terminal, above the live line.
func (p *progress) around(write func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.erase()
	write()
	p.draw()
}

type progressStep struct {
	parent      *progress
	name        string
	started     time.Time
	done, total int
	detail      string
	reported    time.Time
}

// plainPeriod is how often a step that goes on is mentioned where there is no live line.
const plainPeriod = 30 * time.Second

// Start implements build.Progress.
func (p *progress) Start(name string) build.Step {
	p.mu.Lock()
	defer p.mu.Unlock()
	step := &progressStep{parent: p, name: name, started: time.Now(), reported: time.Now()}
	p.active = append(p.active, step)
	p.draw()
	return step
}

// Update implements build.Step.
func (s *progressStep) Update(done, total int, detail string) {
	p := s.parent
	p.mu.Lock()
	defer p.mu.Unlock()
	s.done, s.total, s.detail = done, total, detail
	if !p.live && time.Since(s.reported) >= plainPeriod {
		s.reported = time.Now()
		fmt.Fprintf(p.out, "  ...   %s\n", s.text())
	}
	p.draw()
}

// Finish implements build.Step.
func (s *progressStep) Finish(detail string, err error) {
	p := s.parent
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drop(s)
	p.erase()
	mark := "done"
	if err != nil {
		mark = "FAIL"
	}
	fmt.Fprintf(p.out, "  %s  %s %s\n", mark, pad(s.name+" "+dim(detail), 64), seconds(time.Since(s.started)))
	p.draw()
}

// drop ends a step without a line of its own; the lock is held.
func (p *progress) drop(s *progressStep) {
	p.active = slices.DeleteFunc(p.active, func(step *progressStep) bool { return step == s })
}

func (s *progressStep) text() string {
	text := s.name
	if s.total > 0 {
		text += fmt.Sprintf(" %d of at most %d packages", s.done, s.total)
	} else if s.detail != "" {
		text += " " + s.detail
	}
	return text + " " + seconds(time.Since(s.started))
}

// draw writes the live line anew.
func (p *progress) draw() {
	if !p.live {
		return
	}
	p.erase()
	if len(p.active) == 0 {
		return
	}
	var texts []string
	for _, step := range p.active {
		texts = append(texts, step.text())
	}
	line := fmt.Sprintf("  ...   %s elapsed: %s", seconds(time.Since(p.started)), strings.Join(texts, " | "))
	if len(line) >= p.width {
		line = line[:p.width-1]
	}
	fmt.Fprint(p.out, line)
	p.drawn = true
}

func (p *progress) erase() {
	if p.drawn {
		fmt.Fprint(p.out, "\r\x1b[K")
		p.drawn = false
	}
}

func dim(detail string) string {
	if detail == "" {
		return ""
	}
	return "(" + detail + ")"
}

func pad(text string, width int) string {
	if len(text) >= width {
		return text
	}
	return text + strings.Repeat(" ", width-len(text))
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }
