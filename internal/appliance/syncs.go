package appliance

import (
	"context"
	"errors"
	"net/http"
	"time"

	"stockroom/internal/answer"
	"stockroom/internal/config"
	"stockroom/internal/state"
	"stockroom/internal/status"
	"stockroom/internal/syncer"
	"stockroom/store"
	"stockroom/web"
)

// syncs implements web.Syncs.
type syncs struct{ a *Appliance }

// startWait is how long an answer waits for its run to begin.
const startWait = 10 * time.Second

// Start begins a run or joins the one of its kind.
func (s syncs) Start(ctx context.Context, shop string, kind store.RunKind, dryRun bool) (int64, error) {
	if !s.a.syncer.Works() {
		return 0, notWorking()
	}
	wait, cancel := context.WithTimeout(ctx, startWait)
	defer cancel()
	id, err := s.a.syncer.Start(wait, shop, kind, dryRun)
	var paused *syncer.PausedError
	switch {
	case errors.Is(err, state.ErrUnknownShop):
		return 0, shops(s).declared(err)
	case errors.As(err, &paused):
		return 0, &answer.Refusal{Status: http.StatusConflict, Title: "The shop is paused", Detail: "Nothing can be read now: " + paused.Words + "."}
	case errors.Is(err, syncer.ErrOtherRuns):
		return 0, &answer.Refusal{
			Status: http.StatusConflict, Title: "Another sync runs", Code: answer.CodeSyncRuns, RetryAfter: 10,
			Detail: "Another sync of this shop runs; this one begins after it. Follow it in the list of syncs, or cancel the one that runs."}
	case errors.Is(err, syncer.ErrNotBegun):
		return 0, &answer.Refusal{
			Status: http.StatusServiceUnavailable, Title: "The sync can't begin", Code: answer.CodeSyncNotBegun, RetryAfter: 10,
			Detail: "The sync was asked for but has not begun yet; the list of syncs shows it when it does."}
	}
	return id, err
}

func notWorking() error {
	return &answer.Refusal{Status: http.StatusConflict, Title: "Nothing works on the data dir", Code: answer.CodeNothingWorks, Detail: "Syncs are made while `stockroom serve` runs."}
}

// Cancel ends the shop's run.
func (s syncs) Cancel(shop string) bool { return s.a.syncer.Cancel(shop) }

// CheckSubscriptions compares wanted and present subscriptions. In pull mode none is
// made.
func (s syncs) CheckSubscriptions(ctx context.Context, shop string, fix bool) (status.Subscriptions, error) {
	got, err := s.a.syncer.CheckSubscriptions(ctx, shop, fix)
	if errors.Is(err, syncer.ErrWebhooksOff) || errors.Is(err, syncer.ErrNoAddress) {
		err = &answer.Refusal{Status: http.StatusConflict, Title: "Pull mode", Code: answer.CodeNoPublicAddress, Detail: pullWords(s.a.opt.Settings)}
	}
	return got, err
}

// pullWords say why Shopify sends nothing, and what has it send changes.
func pullWords(s config.Settings) string {
	if s.Webhooks == config.WebhooksOff {
		return "Webhooks are off (--webhooks off). To have Shopify send changes, start stockroom serve without it and with --public-url https://YOUR-HOST."
	}
	return "Stockroom does not know where Shopify reaches it. To have Shopify send changes, start stockroom serve with --public-url https://YOUR-HOST."
}

var _ web.Syncs = syncs{}
