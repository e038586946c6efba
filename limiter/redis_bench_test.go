package limiter

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// slidingLua is the same cost-weighted sliding window: a sorted set of grants
// whose members carry their points, and a running sum.
const slidingLua = `
local log, sum = KEYS[1], KEYS[2]
local now, window, budget, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local used = tonumber(redis.call('GET', sum) or '0')
local gone = redis.call('ZRANGEBYSCORE', log, '-inf', now - window)
if #gone > 0 then
  for _, m in ipairs(gone) do used = used - tonumber(string.match(m, '^%d+')) end
  redis.call('ZREMRANGEBYSCORE', log, '-inf', now - window)
  redis.call('SET', sum, used)
end
if used + cost > budget then return 0 end
redis.call('ZADD', log, now, cost .. ':' .. ARGV[5])
redis.call('INCRBY', sum, cost)
return 1`

// redisConn speaks just enough of the Redis protocol.
type redisConn struct {
	c net.Conn
	r *bufio.Reader
}

func (r *redisConn) do(args ...string) (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(args))
	for _, a := range args {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(a), a)
	}
	if _, err := io.WriteString(r.c, b.String()); err != nil {
		return "", err
	}
	line, err := r.r.ReadString('\n')
	if err != nil {
		return "", err
	}
	line = strings.TrimSpace(line)
	switch line[0] {
	case '-':
		return "", fmt.Errorf("redis: %s", line[1:])
	case '$':
		n, _ := strconv.Atoi(line[1:])
		body := make([]byte, n+2)
		_, err := io.ReadFull(r.r, body)
		return string(body[:n]), err
	}
	return line[1:], nil
}

// BenchmarkRedisLua is the reference: the same window in Redis, fsync always.
func BenchmarkRedisLua(b *testing.B) {
	bin, err := exec.LookPath("redis-server")
	if err != nil {
		b.Skip("redis-server is not installed: no reference figures")
	}
	dir := b.TempDir()
	sock := filepath.Join(dir, "r.sock")
	cmd := exec.Command(bin, "--port", "0", "--unixsocket", sock, "--dir", dir, "--appendonly", "yes",
		"--appendfsync", "always", "--save", "", "--maxclients", "200")
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	dial := func() *redisConn {
		for start := time.Now(); ; {
			if c, err := net.Dial("unix", sock); err == nil {
				return &redisConn{c, bufio.NewReader(c)}
			} else if time.Since(start) > 10*time.Second {
				b.Fatal(err)
			}
		}
	}
	for _, c := range benchCases {
		b.Run(fmt.Sprintf("shops=%d/goroutines=%d", c.shops, c.goroutines), func(b *testing.B) {
			shops := benchShops(c.shops)
			conns := make(chan *redisConn, c.goroutines)
			var sha string
			for range c.goroutines {
				r := dial()
				defer r.c.Close()
				if sha, err = r.do("SCRIPT", "LOAD", slidingLua); err != nil {
					b.Fatal(err)
				}
				conns <- r
			}
			run := strconv.FormatInt(time.Now().UnixNano(), 36)
			spreadWork(b, c.goroutines, func(i int) bool {
				r := <-conns
				defer func() { conns <- r }()
				key := run + shops[i%len(shops)]
				id := strconv.FormatInt(time.Now().UnixNano(), 36) + strconv.Itoa(i)
				out, err := r.do("EVALSHA", sha, "2", key, key+":sum",
					strconv.FormatInt(time.Now().UnixMicro(), 10), "60000000", "400000000", "1", id)
				if err != nil {
					b.Error(err)
				}
				return out == "1"
			})
		})
	}
}
