package evidence

import (
	"math"
	"runtime/debug"
)

// memoryLimit is how much memory a process that judges a pattern takes before it collects garbage more often: the logs of
// proxies under load are large, and several patterns are judged at once.
const memoryLimit = 400 << 20

// LimitMemory sets that limit, unless another one is set, as by GOMEMLIMIT.
func LimitMemory() {
	if debug.SetMemoryLimit(-1) == math.MaxInt64 { // -1 only asks
		debug.SetMemoryLimit(memoryLimit)
	}
}
