package redis

// SetClock has a Ledger go by another clock than the server's.
func (l *Ledger) SetClock(clock func() int64) { l.clock = clock }
