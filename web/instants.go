package web

import (
	"reflect"
	"time"

	"stockroom/store"
)

// inMillis returns v with each time.Time in it as store.Millis shows one: in UTC
// and in milliseconds. So every answer has one form of time, whatever clock an
// instant was read from. What v points to is copied, since others may read it.
func inMillis(v any) any {
	holder := reflect.ValueOf(&v).Elem()
	putInMillis(holder)
	return holder.Interface()
}

// putInMillis is inMillis in place.
func putInMillis(v reflect.Value) {
	if !mayHoldTime(v.Type()) {
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
				putInMillis(v.Field(i))
			}
		}
	case reflect.Pointer:
		if !v.IsNil() {
			own := reflect.New(v.Type().Elem())
			own.Elem().Set(v.Elem())
			putInMillis(own.Elem())
			v.Set(own)
		}
	case reflect.Interface:
		if !v.IsNil() {
			v.Set(ownInMillis(v.Elem()))
		}
	case reflect.Slice:
		if !v.IsNil() {
			own := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
			reflect.Copy(own, v)
			for i := range own.Len() {
				putInMillis(own.Index(i))
			}
			v.Set(own)
		}
	case reflect.Map:
		if !v.IsNil() {
			own := reflect.MakeMapWithSize(v.Type(), v.Len())
			for key, value := range v.Seq2() {
				own.SetMapIndex(key, ownInMillis(value))
			}
			v.Set(own)
		}
	}
}

func ownInMillis(v reflect.Value) reflect.Value {
	own := reflect.New(v.Type()).Elem()
	own.Set(v)
	putInMillis(own)
	return own
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
