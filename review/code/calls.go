package code

// calls adds what the languages' own checks found.
func (s *scan) calls() { s.report.Findings = append(s.report.Findings, s.waiting...) }
