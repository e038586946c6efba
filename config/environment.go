package config

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

// otherVariables are the documented variables that begin with STOCKROOM_ and
// are no settings.
func otherVariables() []string {
	return []string{"STOCKROOM_TORTURE", "STOCKROOM_TORTURE_MINUTES", "STOCKROOM_SEED", "STOCKROOM_TOKEN"}
}

// testPrefix begins variables with which test programs talk to themselves.
const testPrefix = "STOCKROOM_TEST_"

// checkEnvironment refuses variables that look like settings and are none: a
// misspelt one would otherwise be ignored in silence.
func (l *loader) checkEnvironment() {
	var known []string
	for _, s := range l.all {
		known = append(known, s.Env)
	}
	for _, name := range slices.Sorted(maps.Keys(l.env)) {
		if !strings.HasPrefix(name, envPrefix) || strings.HasPrefix(name, testPrefix) ||
			slices.Contains(known, name) || slices.Contains(otherVariables(), name) || serviceLink(name, l.env[name]) {
			continue
		}
		if meant := nearestEnv(name, known); meant != "" {
			l.fail("%s: there is no such setting, did you mean %s?", name, meant)
		} else {
			l.fail("%s: there is no such setting, see stockroom config print", name)
		}
	}
}

// nearestEnv compares without the prefix that all variables share.
func nearestEnv(name string, known []string) string {
	var rests []string
	for _, k := range known {
		rests = append(rests, strings.TrimPrefix(k, envPrefix))
	}
	rest := strings.TrimPrefix(name, envPrefix)
	switch rest {
	case "PORT", "ADDR", "ADDRESS", "BIND", "HOST":
		return envName("listen")
	}
	if meant := nearest(rest, rests); meant != "" {
		return envPrefix + meant
	}
	return ""
}

// serviceLink recognises the variables that Kubernetes and Docker put into
// every container beside a service called stockroom, such as
// STOCKROOM_SERVICE_HOST and STOCKROOM_PORT=tcp://10.0.0.1:80.
// Source: kubernetes.io/docs/concepts/services-networking/service, environment
// variables.
func serviceLink(name, value string) bool {
	if strings.Contains(value, "://") && strings.HasSuffix(name, "_PORT") {
		return true
	}
	return regexp.MustCompile(`_SERVICE_HOST$|_SERVICE_PORT(_[A-Z0-9_]+)?$|_PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$`).MatchString(name)
}
