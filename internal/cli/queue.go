package cli

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"text/tabwriter"
	"time"

	"stockroom/internal/config"
	"stockroom/queue"
	"stockroom/web"
)

type queueCommand struct {
	List    queueListCommand    `cmd:"" help:"List waiting jobs and dead letters."`
	Show    queueShowCommand    `cmd:"" help:"Show one job, its payload included."`
	Retry   queueRetryCommand   `cmd:"" help:"Try jobs again now; dead letters start again."`
	Discard queueDiscardCommand `cmd:"" help:"Drop jobs for good."`
}

type queueListCommand struct {
	State string `enum:",waiting,leased,dead" default:"" placeholder:"STATE" help:"Only waiting, leased or dead jobs."`
	Shop  string `type:"shop" placeholder:"SHOP" help:"Only jobs of this shop."`
	Kind  string `placeholder:"KIND" help:"Only jobs of this kind."`
	Limit rows   `default:"100" help:"Most jobs to list, 1 to 1000."`
}

func (c queueListCommand) Run(e *env) error {
	params := map[string]string{"limit": strconv.Itoa(int(c.Limit)), "state": c.State, "shop": c.Shop, "kind": c.Kind}
	if e.json {
		params["data"] = "true" // a document is for programs, which want the whole job
	}
	return ask(e, false, http.MethodGet, address("/api/v1/jobs", params), nil, func(out web.JobList) error {
		if len(out.Jobs) == 0 {
			fmt.Fprintln(e.Stdout, "Nothing is waiting, and there are no dead letters.")
			return nil
		}
		w := tabwriter.NewWriter(e.Stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "ID\tSTATE\tKIND\tSHOP\tTOPIC\tATTEMPTS\tNEXT TRY\tREASON")
		now := time.Now()
		for _, j := range out.Jobs {
			next := ago(j.DueAt, now)
			if j.State == queue.Dead {
				next = "-"
			}
			fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%d of %d\t%s\t%s\n", j.ID, j.State, j.Kind, orDash(j.Shop), orDash(j.Topic), j.Attempts, j.MaxAttempts, next, orDash(j.Why()))
		}
		if err := w.Flush(); err != nil {
			return err
		}
		if out.Next != nil {
			fmt.Fprintln(e.Stdout, "There are more; raise --limit.")
		}
		return nil
	})
}

type queueShowCommand struct {
	ID string `arg:"" help:"The job's id, as queue list shows it."`
}

func (c queueShowCommand) Run(e *env) error {
	path := "/api/v1/jobs/" + url.PathEscape(c.ID)
	return ask(e, false, http.MethodGet, path, nil, func(j web.Job) error {
		w := tabwriter.NewWriter(e.Stdout, 0, 0, 2, ' ', 0)
		for _, line := range [][2]string{
			{"Job", fmt.Sprintf("%d, %s", j.ID, j.State)}, {"Kind", j.Kind}, {"Shop", j.Shop}, {"Topic", j.Topic}, {"Webhook id", j.WebhookID},
			{"Attempts", fmt.Sprintf("%d of %d", j.Attempts, j.MaxAttempts)}, {"Class", string(j.Class)}, {"Reason", j.Reason},
			{"First error", j.FirstError}, {"Last error", j.LastError}, {"Received", stamp(j.ReceivedAt)}, {"Enqueued", stamp(j.EnqueuedAt)},
			{"First attempt", stamp(j.FirstAttemptAt)}, {"Last attempt", stamp(j.LastAttemptAt)}, {"Next try", stamp(j.DueAt)}, {"Died", stamp(j.DiedAt)},
		} {
			if line[1] != "" {
				fmt.Fprintf(w, "%s\t%s\n", line[0], line[1])
			}
		}
		if err := w.Flush(); err != nil {
			return err
		}
		if len(j.Data) > 0 {
			fmt.Fprintf(e.Stdout, "\n%s\n", j.Data)
		}
		return nil
	})
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04:05 MST") + " (" + ago(t, time.Now()) + ")"
}

type queueRetryCommand struct {
	IDs  []string `arg:"" optional:"" name:"id" help:"Jobs to try again."`
	All  bool     `help:"All dead letters."`
	Shop string   `type:"shop" placeholder:"SHOP" help:"With --all: only those of this shop."`
}

func (c queueRetryCommand) Run(e *env) error {
	return e.act("retry", "retried", c.IDs, c.All, c.Shop)
}

type queueDiscardCommand struct {
	IDs  []string `arg:"" optional:"" name:"id" help:"Jobs to drop."`
	All  bool     `help:"All dead letters."`
	Shop string   `type:"shop" placeholder:"SHOP" help:"With --all: only those of this shop."`
}

func (c queueDiscardCommand) Run(e *env) error {
	return e.act("discard", "discarded", c.IDs, c.All, c.Shop)
}

func (e *env) act(verb, done string, ids []string, all bool, shop string) error {
	if all == (len(ids) > 0) {
		return withCode(config.ExitUsage, errors.New("name jobs by their ids, or give --all for every dead letter"))
	}
	return e.with(false, func(cl *client) error {
		total := 0
		var out map[string]int
		if all {
			path := address("/api/v1/jobs-"+verb, map[string]string{"state": "dead", "shop": shop})
			if err := cl.call(e.ctx, http.MethodPost, path, nil, &out); err != nil {
				return err
			}
			total = out[done]
		}
		for _, id := range ids {
			if err := cl.call(e.ctx, http.MethodPost, "/api/v1/jobs/"+url.PathEscape(id)+"/"+verb, nil, &out); err != nil {
				return fmt.Errorf("job %s: %w", id, err)
			}
			total += out[done]
		}
		if e.json {
			return e.print(map[string]int{done: total})
		}
		fmt.Fprintf(e.Stdout, "%d %s.\n", total, done)
		return nil
	})
}
