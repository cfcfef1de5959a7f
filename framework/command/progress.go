package command

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/term"

	"github.com/meshproof/meshproof/framework/lab/build"
)

// progress writes what long work is doing: on a terminal one live line for all that is under way, elsewhere one line
// per finished step, and a line now and then for a step that takes long, so that a CI log is neither empty nor flooded.
type progress struct {
	mu   sync.Mutex
	out  io.Writer
	live bool
	// width is how many columns the terminal has now: a person may change it while the run goes on.
	width   func() int
	started time.Time
	active  []*progressStep
	drawn   bool
}

// livePeriod is how often the live line is drawn anew, so that its seconds go on.
const livePeriod = 200 * time.Millisecond

// newProgress writes to out; it is live when out is a terminal that can move its cursor.
func newProgress(out *os.File) *progress {
	p := &progress{out: out, started: time.Now(), width: func() int { return columns(out) }}
	if term.IsTerminal(int(out.Fd())) && os.Getenv("TERM") != "dumb" {
		p.live = true
		go p.tick()
	}
	return p
}

// columns is the width of a terminal; the customary one when it does not tell.
func columns(out *os.File) int {
	if width, _, err := term.GetSize(int(out.Fd())); err == nil && width > 0 {
		return width
	}
	return 80
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
	fmt.Fprint(p.out, liveLine(seconds(time.Since(p.started))+" elapsed", texts, p.width()))
	p.drawn = true
}

// liveLine tells what is under way in less than so many columns, or the terminal would begin a second line, which erase leaves:
// as many of the texts as there is room for, and how many there are besides. The time of all is told where it leaves room.
func liveLine(elapsed string, texts []string, width int) string {
	const mark = "  ...   "
	for count := len(texts); count > 0; count-- {
		line := strings.Join(texts[:count], " | ")
		if left := len(texts) - count; left > 0 {
			line += fmt.Sprintf(" | and %d more", left)
		}
		for _, head := range []string{mark + elapsed + ": ", mark} {
			if utf8.RuneCountInString(head+line) < width {
				return head + line
			}
		}
	}
	line := []rune(strings.Join(texts, " | "))
	if room := max(0, width-1-len(mark)); len(line) > room {
		line = line[:room]
	}
	return string([]rune(mark)[:min(len(mark), max(0, width-1))]) + string(line)
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
