// Keeps the page current while it is looked at, and says so when it can't.
// Everything works without it.
"use strict";
(() => {
  const main = document.getElementById("main"), lost = document.getElementById("lost"), icon = document.querySelector("link[rel=icon]");
  // What is typed belongs to a choice, so typing makes it.
  for (const field of document.querySelectorAll("[data-chooses]"))
    field.addEventListener("input", () => { if (field.value.trim()) document.getElementById(field.dataset.chooses).checked = true; });
  const live = document.getElementById("live"), pause = document.getElementById("pause");
  if (!live || !pause || !window.EventSource) return;

  // What the last click did need not be said again after a reload.
  const here = new URL(location.href);
  for (const name of ["said", "n", "off", "fetch", "undo"]) here.searchParams.delete(name);
  history.replaceState(null, "", here);

  const key = (n) => (n.nodeType === 1 ? n.id || n.getAttribute("data-key") || "" : "");

  // words is the text of an element itself. Another sentence takes its place as a
  // whole: none of its words has moved.
  const words = (e) => [...e.childNodes].map((n) => (n.nodeType === 3 ? n.data.trim() : "")).filter(Boolean).join("|");

  // place makes the rows of a what those of b are, each row in its place: where
  // rows come every second nothing moves under the eyes.
  function place(a, b) {
    const rows = [...a.children];
    for (const [i, want] of [...b.children].entries()) {
      const have = rows[i];
      if (!have) a.append(document.importNode(want, true));
      else if (key(have) === key(want)) morph(have, want);
      else have.replaceWith(document.importNode(want, true));
    }
    for (const row of rows.slice(b.children.length)) row.remove();
  }

  // morph makes a what b is and leaves alone what is the same, so that focus,
  // open details and what was typed stay.
  function morph(a, b) {
    for (const { name } of [...a.attributes]) if (name !== "open" && !b.hasAttribute(name)) a.removeAttribute(name);
    for (const { name, value } of b.attributes) if (name !== "open" && a.getAttribute(name) !== value) a.setAttribute(name, value);
    if (a.matches("input, textarea, select")) return;
    if (a.matches(".steady") && !a.contains(document.activeElement)) { place(a, b); return; } // the focus goes with its row
    if (words(a) !== words(b) && !a.contains(document.activeElement)) { a.replaceChildren(...document.importNode(b, true).childNodes); return; }
    const wanted = new Set(), known = new Map();
    for (const n of b.children) if (key(n)) wanted.add(key(n));
    for (const n of [...a.children]) {
      const k = key(n);
      if (!k) continue;
      if (wanted.has(k)) known.set(k, n); else n.remove();
    }
    let next = a.firstChild;
    for (const want of [...b.childNodes]) {
      const k = key(want);
      const have = k ? known.get(k) : next;
      if (have && have.nodeName === want.nodeName && key(have) === k) {
        // What stood before it goes: moving it would take the focus out of it.
        while (next && next !== have && !key(next)) { const n = next; next = next.nextSibling; n.remove(); }
        if (have === next) next = next.nextSibling; else a.insertBefore(have, next);
        if (have.nodeType === 1) morph(have, want); else if (have.data !== want.data) have.data = want.data;
      } else a.insertBefore(document.importNode(want, true), next);
    }
    while (next) { const n = next; next = next.nextSibling; n.remove(); }
  }

  function set(e, text) { if (e.textContent !== text) e.textContent = text; }

  // Times are written in the reader's zone, in the form in which the server wrote
  // them in its own, and ages go on counting.
  const zone = new Intl.DateTimeFormat("en-GB", { timeZoneName: "short" });
  const many = (n, thing) => n + " " + thing + (n === 1 ? "" : "s");
  function span(s) {
    if (s < 60) return many(s, "second");
    if (s < 3600) return many(Math.floor(s / 60), "minute");
    const h = Math.floor(s / 3600), m = Math.floor(s / 60) % 60;
    if (h < 48) return many(h, "hour") + (m && h < 10 ? " " + many(m, "minute") : "");
    return many(Math.floor(h / 24), "day");
  }
  function write(form, t, now) {
    const gone = Math.floor((now - t) / 1000), left = Math.floor((t - now) / 1000);
    if (form === "ago") return gone < 1 ? "just now" : span(gone) + " ago";
    if (form === "ahead") return left < 1 ? "any moment" : "in " + span(left);
    const [, month, day] = t.toDateString().split(" "), today = t.toDateString() === new Date(now).toDateString();
    return (today ? "" : +day + " " + month + " ") + t.toTimeString().slice(0, form === "clock" ? 5 : 8);
  }
  function writeTimes(within) {
    const now = Date.now() + ahead;
    for (const e of within.querySelectorAll("time[data-as]")) {
      const t = new Date(e.dateTime);
      set(e, write(e.dataset.as, t, now));
      if (e.zoned === e.dateTime) continue;
      e.zoned = e.dateTime;
      const [week, month, day, year] = t.toDateString().split(" ");
      e.title = week + " " + +day + " " + month + " " + year + ", " + t.toTimeString().slice(0, 8) + " " + zone.formatToParts(t).find((p) => p.type === "timeZoneName").value;
    }
  }
  function setTime(id, ms) { document.getElementById(id).dateTime = new Date(ms).toISOString(); }

  // sure is until when the page is known to show what Stockroom would show:
  // when it last asked for it, or last heard that nothing has changed since.
  const silent = 10000, asleep = 90000; // a hidden page gets a turn once a minute
  const loaded = performance.getEntriesByType("navigation")[0], fresh = loaded && loaded.transferSize > 0; // and not from a cache
  let shown = Date.parse(main.dataset.now), sure = fresh ? Date.now() : Math.min(Date.now(), shown), ahead = 0; // of the server's clock before ours
  let woke = 0, news = 0, heard = 0, asked = Date.now(), asking = false, failed = "", timer = 0;
  let paused = sessionStorage.getItem("paused") === "1", source = null, title = document.title;
  const well = icon.getAttribute("href"), past = icon.dataset.past;
  new Image().src = past; // when it is needed it can't be loaded any more

  function isLost() {
    const now = Date.now(), age = now - sure;
    return age >= asleep || age >= silent && (failed !== "" || !document.hidden && now - woke >= silent);
  }

  // tell says how the page stands. While that is not known nothing of it is
  // green, not its icon either.
  function tell() {
    const gone = !paused && isLost(), now = paused ? "Paused" : gone ? "No contact" : "";
    set(live, now ? now + "." : source && source.readyState === 1 && !failed ? "Live." : "Reconnecting.");
    set(pause, paused ? "Resume" : "Pause");
    pause.setAttribute("aria-pressed", String(paused));
    document.body.classList.toggle("past", now !== "");
    document.body.classList.toggle("lost", gone);
    lost.hidden = !gone;
    if (gone) {
      set(document.getElementById("lost-why"), failed === "fault" ? "Stockroom can't show this page" : "No contact with Stockroom");
      setTime("lost-since", sure + ahead);
      setTime("lost-shown", shown);
    }
    writeTimes(document);
    const name = now ? now + " - Stockroom" : title, href = now ? past : well;
    if (document.title !== name) document.title = name;
    if (icon.getAttribute("href") !== href) icon.setAttribute("href", href);
  }

  async function refresh() {
    asking = true;
    asked = Date.now();
    try {
      const answer = await fetch(location.href, { headers: { "X-Fragment": "1", Accept: "text/html" }, cache: "no-store", redirect: "manual", signal: AbortSignal.timeout(silent) });
      const follows = main.querySelector("[data-live]"), kind = answer.status;
      if (answer.type === "opaqueredirect" || kind === 401 || follows && (kind === 404 || kind === 410)) { location.reload(); return; }
      if (answer.ok && !paused) show(new DOMParser().parseFromString(await answer.text(), "text/html"));
      failed = answer.ok || kind < 500 && !follows ? "" : "fault"; // the page of an error has nothing to follow
      if (!failed && !paused) sure = asked;
    } catch { failed = "contact"; }
    asking = false;
    tell();
    if (news > asked) changed();
  }

  function show(page) {
    const focused = document.activeElement, now = page.getElementById("main");
    shown = Date.parse(now.dataset.now);
    ahead = Math.abs(shown - Date.now()) < 2000 ? 0 : shown - Date.now();
    writeTimes(page);
    for (const region of document.querySelectorAll("[data-live]")) {
      const want = page.getElementById(region.id);
      if (want) morph(region, want);
    }
    if (focused && !focused.isConnected) main.focus({ preventScroll: true });
    title = now.dataset.title;
    setTime("asof", shown);
  }

  // At most two requests a second, however much happens.
  function changed() {
    if (paused || timer || asking) return;
    timer = setTimeout(() => { timer = 0; if (!paused && !asking) refresh(); }, Math.max(0, 500 - (Date.now() - asked)));
  }
  function noticed() { news = heard = Date.now(); changed(); }

  function connect() {
    if (source || paused || document.hidden) return;
    heard = Date.now();
    source = new EventSource("/events");
    source.onopen = () => { tell(); noticed(); };
    source.addEventListener("change", noticed);
    source.addEventListener("ping", () => {
      heard = Date.now();
      if (news <= sure && !failed) sure = heard;
      tell();
    });
    source.onerror = () => {
      if (source && source.readyState === 2) { source = null; setTimeout(connect, 5000); } // refused: asking for the page tells why
      tell();
    };
  }
  function disconnect() {
    if (source) source.close();
    source = null;
  }

  // Once a second: a stream that is silent for too long, or that a proxy holds
  // back, is begun again, and the page is asked for meanwhile.
  function tick() {
    if (paused) { writeTimes(document); return; }
    const now = Date.now(), quiet = now - sure;
    if (source && now - heard >= silent) { disconnect(); connect(); }
    if (now - asked >= (quiet >= 5000 && !document.hidden ? 5000 : 15000)) changed();
    tell();
  }

  pause.hidden = false;
  pause.addEventListener("click", () => {
    paused = !paused;
    sessionStorage.setItem("paused", paused ? "1" : "0");
    if (paused) disconnect(); else { connect(); changed(); }
    tell();
  });
  // A hidden page gives its stream back and is asked for now and then, so that
  // its title stays true.
  function look() {
    if (document.hidden) disconnect(); else { woke = Date.now(); connect(); changed(); }
    tell();
  }
  document.addEventListener("visibilitychange", look);
  addEventListener("pagehide", disconnect);
  addEventListener("pageshow", (e) => { if (e.persisted) look(); });
  setInterval(tick, 1000);
  connect();
  tell();
})();
