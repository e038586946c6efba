package config

import (
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

// otherVariables are the documented variables that begin with STOCKROOM_ and
// are no settings.
func otherVariables() []string {
	return []string{"STOCKROOM_TORTURE", "STOCKROOM_TORTURE_MINUTES", "STOCKROOM_TORTURE_RATE", "STOCKROOM_SEED", "STOCKROOM_TOKEN"}
}

// testPrefix begins variables with which test programs talk to themselves.
const testPrefix = "STOCKROOM_TEST_"

// variables are the names of the variables of settings.
func variables(rows []Setting) []string {
	var names []string
	for _, s := range rows {
		if names = append(names, s.Env); s.kind == "secret" {
			names = append(names, s.Env+fileSuffix)
		}
	}
	return names
}

// strangers are the variables that are set, begin with prefix and are not known,
// in the order of their names.
func (l *loader) strangers(prefix string, known []string) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(l.env)), func(name string) bool {
		return !strings.HasPrefix(name, prefix) || slices.Contains(known, name)
	})
}

// checkEnvironment refuses variables that look like settings and are none: a
// misspelt one would otherwise be ignored in silence.
func (l *loader) checkEnvironment() {
	known := variables(rows(reflect.TypeFor[Settings]()))
	for _, name := range l.strangers(envPrefix, append(otherVariables(), known...)) {
		if !strings.HasPrefix(name, testPrefix) && !serviceLink(name, l.env[name]) {
			l.errs = append(l.errs, noSetting(name, nearestEnv(name, known)))
		}
	}
}

// nearestEnv compares without the prefix that all variables share.
func nearestEnv(name string, known []string) string {
	rest := strings.TrimPrefix(name, envPrefix)
	if slices.Contains([]string{"PORT", "ADDR", "ADDRESS", "BIND", "HOST"}, rest) {
		return envName("listen")
	}
	var rests []string
	for _, k := range known {
		rests = append(rests, strings.TrimPrefix(k, envPrefix))
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
	return regexp.MustCompile(`_SERVICE_(HOST|PORT(_[A-Z0-9_]+)?)$|_PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$`).
		MatchString(name)
}

// nearest returns the candidate that name most likely stands for, or "" when
// none is close.
func nearest(name string, candidates []string) string {
	best, bestDistance := "", 1+max(2, len(name)/3)
	for _, c := range candidates {
		if d := distance(name, c); d < bestDistance {
			best, bestDistance = c, d
		}
	}
	if best != "" {
		return best
	}
	// data-dir stands for data, password for admin-password-file.
	for _, c := range candidates {
		if len(name) >= 4 && strings.Contains(c, name) || len(c) >= 4 && strings.Contains(name, c) {
			return c
		}
	}
	return ""
}

// distance is the number of single-character insertions, deletions,
// replacements and swaps of neighbours between a and b.
func distance(a, b string) int {
	d := make([][]int, len(a)+1) // between the first i characters of a and the first j of b
	for i := range d {
		d[i] = make([]int, len(b)+1)
		for j := range d[i] {
			switch {
			case i == 0 || j == 0:
				d[i][j] = i + j
			case a[i-1] == b[j-1]:
				d[i][j] = d[i-1][j-1]
			default:
				d[i][j] = 1 + min(d[i-1][j-1], d[i-1][j], d[i][j-1])
			}
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d[i][j] = min(d[i][j], 1+d[i-2][j-2])
			}
		}
	}
	return d[len(a)][len(b)]
}
