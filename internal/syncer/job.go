package syncer

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"stockroom/queue"
	"stockroom/store"
)

// task is the payload of a job.
type task struct {
	Shop string `json:"shop"`
	ID   int64  `json:"id"`
}

// JobOf is the queue job for a piece of wanted work. Equal work coalesces.
func JobOf(item store.Wanted) queue.NewJob {
	id := strconv.FormatInt(item.ID, 10)
	return queue.NewJob{
		Kind: string(item.Kind), Key: keyOf(item.Shop, item.ID),
		Labels:  map[string]string{"shop": item.Shop, "id": id, "reason": queue.Clip(item.Reason, queue.MaxLabel)},
		Payload: fmt.Appendf(nil, `{"shop":%q,"id":%s}`, item.Shop, id),
	}
}

func keyOf(shop string, id int64) string { return shop + "/" + strconv.FormatInt(id, 10) }

func parseTask(payload []byte) (task, error) {
	var t task
	if err := json.Unmarshal(payload, &t); err != nil {
		return t, fmt.Errorf("read job: %w", err)
	}
	if t.Shop == "" {
		return t, errors.New("read job: it names no shop")
	}
	return t, nil
}
