package web

import (
	"errors"
	"net/http"

	"github.com/julienschmidt/httprouter"

	"stockroom/internal/admit"
	"stockroom/internal/answer"
	"stockroom/internal/backup"
)

// apiBackup streams a backup of all stores, as they are at one moment, one at a time. Who
// reads slowly keeps no store waiting, nor a backup by schedule: what is streamed was copied
// before, and lies in the data dir until the stream ends.
func (s *Server) apiBackup(w http.ResponseWriter, r *http.Request, _ httprouter.Params) error {
	secrets, err := yesOrNo(r, "secrets")
	if err != nil {
		return err
	}
	if secrets && !admit.VisitorOf(r).IsOwner() {
		return answer.Refuse(http.StatusForbidden, "The token is missing",
			"Only the admin token may have a backup with secrets: "+
				"use `stockroom backup --with-secrets` on the machine of the server.")
	}
	if s.o.Backup == nil {
		return noPath()
	}
	if !s.sending.TryLock() {
		return &answer.Refusal{Status: http.StatusServiceUnavailable, RetryAfter: 10,
			Title:  "Another backup is being sent",
			Detail: "One backup is sent at a time, since its copies take room in the data dir; try again when that one has ended."}
	}
	defer s.sending.Unlock()
	copies, err := s.o.Backup(r.Context(), secrets)
	if _, full := errors.AsType[*backup.RoomError](err); full {
		return answer.Refuse(http.StatusInsufficientStorage, "No room for a backup", err.Error())
	}
	if err != nil {
		return err
	}
	defer func() {
		if err := copies.End(); err != nil {
			s.log.Warn("the copies of a backup stay until the next start", "error", err.Error())
		}
	}()
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Type", "application/gzip")
	h.Set("Content-Disposition", `attachment; filename="`+copies.FileName()+`"`)
	if err := copies.WriteTo(r.Context(), w); err != nil {
		if r.Context().Err() == nil {
			s.log.Error("a backup broke off", "error", err.Error())
		}
		panic(http.ErrAbortHandler) // the answer has begun: only a broken connection tells that it is not whole
	}
	s.audit.Info("a backup was made", "secrets", secrets, "products", copies.Products)
	return nil
}
