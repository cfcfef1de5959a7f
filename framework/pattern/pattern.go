package pattern

// Pattern placeholder
type Pattern struct{}
