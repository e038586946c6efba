package web

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"stockroom/queue"
)

// BenchmarkPagesWhileJobsWait measures the pages that tell of jobs: none may cost
// more with 50,000 of them than with 10.
func BenchmarkPagesWhileJobsWait(b *testing.B) {
	for _, n := range []int{10, 1000, 50_000} {
		r := newRig(b, nil)
		jobs := make([]queue.NewJob, min(n, 5000))
		for i := range jobs {
			jobs[i] = queue.NewJob{Kind: "product", Labels: map[string]string{"shop": testShop, "id": "7"}, NotBefore: time.Now().Add(time.Hour)}
		}
		for range n / len(jobs) {
			if err := r.queue.EnqueueAll(b.Context(), jobs); err != nil {
				b.Fatal(err)
			}
		}
		h := r.Admin()
		for _, path := range []string{"/", "/jobs", "/jobs?shop=" + testShop, "/metrics", "/api/v1/status", "/api/v1/jobs?limit=50&state=leased"} {
			b.Run(fmt.Sprintf("%s/%d", path, n), func(b *testing.B) {
				for b.Loop() {
					if w := serve(h, request("GET", path, "")); w.Code != http.StatusOK {
						b.Fatal(w.Code, w.Body)
					}
				}
			})
		}
	}
}
