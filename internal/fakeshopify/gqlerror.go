package fakeshopify

import (
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

const usageDocs = "https://shopify.dev/api/usage/"

// gqlError is one entry of a GraphQL answer's errors.
type gqlError struct {
	message   string
	locations []any
	code      string
	ext       members // besides the code
	path      []any
}

func (e *gqlError) tree() members {
	m := members{{"message", e.message}}
	if len(e.locations) > 0 {
		m = append(m, member{"locations", e.locations})
	}
	if e.code != "" {
		m = append(m, member{"extensions", append(members{{"code", e.code}}, e.ext...)})
	}
	if len(e.path) > 0 {
		m = append(m, member{"path", e.path})
	}
	return m
}

func errorAt(pos *ast.Position, code, message string) *gqlError {
	e := &gqlError{message: message, code: code}
	if pos != nil {
		e.locations = []any{members{{"line", pos.Line}, {"column", pos.Column}}}
	}
	return e
}

// codeOfRule turns the name of a validation rule into Shopify's code.
var codeOfRule = map[string]string{
	"FieldsOnCorrectType":                "undefinedField",
	"KnownArgumentNames":                 "argumentNotAccepted",
	"ProvidedRequiredArguments":          "missingRequiredArguments",
	"ValuesOfCorrectType":                "argumentLiteralsIncompatible",
	"ScalarLeafs":                        "selectionMismatch",
	"KnownTypeNames":                     "undefinedType",
	"KnownFragmentNames":                 "useAndDefineFragment",
	"NoUnusedFragments":                  "useAndDefineFragment",
	"NoUndefinedVariables":               "variableNotDefined",
	"NoUnusedVariables":                  "variableNotUsed",
	"VariablesInAllowedPosition":         "variableMismatch",
	"VariablesAreInputTypes":             "variableRequiresValidType",
	"OverlappingFieldsCanBeMerged":       "fieldConflict",
	"PossibleFragmentSpreads":            "cannotSpreadFragment",
	"FragmentsOnCompositeTypes":          "fragmentOnNonCompositeType",
	"KnownDirectives":                    "undefinedDirective",
	"UniqueArgumentNames":                "argumentNotUnique",
	"UniqueVariableNames":                "variableNotUnique",
	"LoneAnonymousOperation":             "uniquelyNamedOperations",
	"UniqueOperationNames":               "uniquelyNamedOperations",
	"NoFragmentCycles":                   "infiniteLoop",
	"MaxIntrospectionDepth":              "BAD_REQUEST",
	"KnownRootType":                      "missingMutationConfiguration",
	"SingleFieldSubscriptions":           "missingSubscriptionConfiguration",
	"UniqueInputFieldNames":              "inputFieldNotUnique",
	"UniqueFragmentNames":                "fragmentNotUnique",
	"UniqueDirectivesPerLocation":        "directiveNotUniqueForLocation",
	"ValuesOfCorrectTypeWithoutSuggests": "argumentLiteralsIncompatible",
}

func documentErrors(list gqlerror.List) []*gqlError {
	var out []*gqlError
	for _, e := range list {
		code := codeOfRule[e.Rule]
		if code == "" {
			code = "PARSE_ERROR"
			if e.Rule != "" {
				code = "BAD_REQUEST"
			}
		}
		g := &gqlError{message: e.Message, code: code}
		for _, l := range e.Locations {
			g.locations = append(g.locations, members{{"line", l.Line}, {"column", l.Column}})
		}
		if strings.HasPrefix(code, "variable") && len(e.Path) > 0 {
			g.path = append(g.path, e.Path.String())
		}
		out = append(out, g)
	}
	return out
}

func accessDenied(f *ast.Field, scope string) *gqlError {
	need := "`" + scope + "` access scope."
	e := errorAt(f.Position, "ACCESS_DENIED", "Access denied for "+f.Name+" field. Required access: "+need)
	e.ext = members{{"documentation", usageDocs + "access-scopes"}, {"requiredAccess", need}}
	return e
}

func throttledError() *gqlError {
	return &gqlError{message: "Throttled", code: "THROTTLED", ext: members{{"documentation", usageDocs + "rate-limits"}}}
}

func internalError(request string) *gqlError {
	return &gqlError{message: "Internal error. Looks like something went wrong on our end.\nRequest ID: " + request +
		" (include this in support requests).", code: "INTERNAL_SERVER_ERROR", ext: members{{"requestId", request}}}
}
