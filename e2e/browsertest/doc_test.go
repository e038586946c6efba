// Package browsertest looks at the status page as a person does: in a real
// Chromium, with the mouse, with the keyboard only, with JavaScript off, on a
// phone's width, light and dark. The appliance and the simulated shop run in the
// same process, on loopback.
//
// Where there is no Chromium every test here is skipped. STOCKROOM_SCREENSHOTS
// names the folder into which TestScreenshots writes the README's pictures.
package browsertest
