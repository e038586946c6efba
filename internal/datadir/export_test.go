package datadir

// ReleaseBallast gives the ballast up, as a start on a full disk does, and
// reports whether there was one.
func (d *Dir) ReleaseBallast() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	there := !d.Missing(ballastFile)
	d.dropBallast()
	return there && d.Missing(ballastFile)
}
