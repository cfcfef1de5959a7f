package basicgateway

import "github.com/meshproof/meshproof/framework/pattern"

func Pattern() pattern.Pattern { return pattern.Pattern{} }
