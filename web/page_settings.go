package web

type lastCheck struct{}
