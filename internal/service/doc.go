// Package service has the system run `stockroom serve` from boot to shutdown.
//
// What a Manager would do is a list of steps, in order, which is shown before any of
// it is done. Each may be done twice, so an installation that was cut off in the
// middle, by a crash too, is mended by another one. Nothing is done to a folder or a
// file of somebody else: Check says what stands in the way, and the command that
// mends it.
//
// Systemd gets the units of deploy/systemd. They run as a user of their own, and
// systemd opens the ports, so that a restart refuses nobody and no right of root's
// is needed for a port below 1024. launchd and Windows are told by
// github.com/kardianos/service.
package service
