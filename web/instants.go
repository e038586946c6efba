package web

import (
	"reflect"
	"time"

	"stockroom/store"
)

// inForm returns v as every answer shows it. Each time.Time in it is as store.Millis
// shows one, in UTC and in milliseconds, whatever clock it was read from. A list
// without members is empty and never null. What v points to is copied, since others
// may read it.
func inForm(v any) any {
	holder := reflect.ValueOf(&v).Elem()
	putInForm(holder)
	return holder.Interface()
}

// putInForm is inForm in place.
func putInForm(v reflect.Value) {
	if !mayHoldTime(v.Type()) {
		if isList(v.Type()) && v.IsNil() {
			v.Set(reflect.MakeSlice(v.Type(), 0, 0))
		}
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(store.InMillis(v.Interface().(time.Time))))
			return
		}
		for i := range v.NumField() {
			f := v.Type().Field(i)
			shown := f.IsExported() || f.Anonymous && f.Type.Kind() == reflect.Struct
			if shown && f.Tag.Get("json") != "-" {
				putInForm(v.Field(i))
			}
		}
	case reflect.Pointer:
		if !v.IsNil() {
			own := reflect.New(v.Type().Elem())
			own.Elem().Set(v.Elem())
			putInForm(own.Elem())
			v.Set(own)
		}
	case reflect.Interface:
		if !v.IsNil() {
			v.Set(ownInForm(v.Elem()))
		}
	case reflect.Slice:
		own := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		reflect.Copy(own, v)
		for i := range own.Len() {
			putInForm(own.Index(i))
		}
		v.Set(own)
	case reflect.Map:
		if !v.IsNil() {
			own := reflect.MakeMapWithSize(v.Type(), v.Len())
			for key, value := range v.Seq2() {
				own.SetMapIndex(key, ownInForm(value))
			}
			v.Set(own)
		}
	}
}

func ownInForm(v reflect.Value) reflect.Value {
	own := reflect.New(v.Type()).Elem()
	own.Set(v)
	putInForm(own)
	return own
}

// isList reports whether values of type t are lists in JSON: bytes are text.
func isList(t reflect.Type) bool {
	return t.Kind() == reflect.Slice && t.Elem().Kind() != reflect.Uint8
}

// mayHoldTime reports whether there can be a time.Time in a value of type t; most
// fields are plain and need no look.
func mayHoldTime(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		return mayHoldTime(t.Elem())
	}
	return t.Kind() == reflect.Struct || t.Kind() == reflect.Interface
}
