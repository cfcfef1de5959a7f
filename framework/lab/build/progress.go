package build

// Progress is told how long work goes on; its methods may be called from several goroutines at once.
type Progress interface {
	// Start announces a step, for example "kubernetes v1.36.3". The returned Step is used until it is finished.
	Start(name string) Step
}

// Step is one piece of work that is under way.
type Step interface {
	// Update says how far it is: done of total units (total 0: not known), and in words.
	Update(done, total int, detail string)
	// Finish ends the step; err is nil when it succeeded. detail is what it came to, for example "130 MB".
	Finish(detail string, err error)
}

// Silent is a Progress that says nothing.
type Silent struct{}

// Start implements Progress.
func (Silent) Start(string) Step { return silentStep{} }

type silentStep struct{}

func (silentStep) Update(int, int, string) {}
func (silentStep) Finish(string, error)    {}

// Timed runs work as one step of progress and returns its error.
func Timed(progress Progress, name string, work func(Step) (detail string, err error)) error {
	step := progress.Start(name)
	detail, err := work(step)
	step.Finish(detail, err)
	return err
}
