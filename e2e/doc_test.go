// Package e2e_test drives the whole program: the binary as a person starts it, against
// a simulated shop, through crashes (crash_), power cuts, full and failing disks
// (outage_), strangers (attack_), and side by side with references (bench_). What
// long campaigns add runs with STOCKROOM_TORTURE=1.
package e2e_test
