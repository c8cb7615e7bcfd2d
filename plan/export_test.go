package plan

// WithoutPlace returns the plan as the file states it, without File, Provider
// and positions, for comparison.
func WithoutPlace(p *Plan) *Plan {
	p.positions, p.File, p.Provider = nil, "", nil
	return p
}

// Bounds of the loader, for its tests.
const (
	MaxSize  = maxSize
	MaxDepth = maxDepth
)
