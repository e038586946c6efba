// Keeps the page current while it is looked at. Everything works without it.
"use strict";
(() => {
  const live = document.getElementById("live"), asof = document.getElementById("asof"), pause = document.getElementById("pause");
  if (!live || !pause || !window.EventSource) return;

  // What the last click did need not be said again after a reload.
  const here = new URL(location.href);
  for (const name of ["said", "n", "off", "fetch", "undo"]) here.searchParams.delete(name);
  history.replaceState(null, "", here);

  const key = (n) => (n.nodeType === 1 ? n.id || n.getAttribute("data-key") || "" : "");

  // morph makes a what b is and leaves alone what is the same, so that focus,
  // open details and what was typed stay.
  function morph(a, b) {
    for (const { name } of [...a.attributes]) if (name !== "open" && !b.hasAttribute(name)) a.removeAttribute(name);
    for (const { name, value } of b.attributes) if (name !== "open" && a.getAttribute(name) !== value) a.setAttribute(name, value);
    if (a.matches("input, textarea, select")) return;
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

  let paused = sessionStorage.getItem("paused") === "1", source = null, timer = 0, asking = false, again = false, last = new Date(), asked = last, reached = true;

  const clock = (t) => t.toTimeString().slice(0, 8);
  function say(text) { if (live.textContent !== text) live.textContent = text; }
  function tell() {
    if (paused) say("Paused.");
    else if (!source || source.readyState !== 1 || !reached) say("Reconnecting, last update " + clock(last).slice(0, 5) + ".");
    else say("Live.");
    pause.textContent = paused ? "Resume" : "Pause";
    pause.setAttribute("aria-pressed", String(paused));
  }

  async function refresh() {
    if (asking) { again = true; return; }
    asking = true; again = false; asked = new Date();
    try {
      const answer = await fetch(location.href, { headers: { "X-Fragment": "1", Accept: "text/html" }, cache: "no-store", redirect: "manual" });
      if (answer.type === "opaqueredirect" || answer.status === 401) { location.reload(); return; }
      if (answer.ok && !paused) {
        const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
        const focused = document.activeElement;
        for (const region of document.querySelectorAll("[data-live]")) {
          const now = fresh.getElementById(region.id);
          if (now) morph(region, now);
        }
        if (focused && !focused.isConnected) document.getElementById("main").focus({ preventScroll: true });
        const main = fresh.getElementById("main");
        if (main) document.title = main.dataset.title;
        last = new Date(); reached = true;
        asof.textContent = clock(last); asof.dateTime = last.toISOString(); asof.title = last.toString();
      } else reached = answer.status < 500; // what is shown may be gone, the server is not
    } catch { reached = false; }
    asking = false;
    tell();
    if (again) changed();
  }

  // At most two requests a second, however much happens.
  function changed() {
    if (paused || document.hidden || timer) return;
    timer = setTimeout(() => { timer = 0; refresh(); }, Math.max(0, 500 - (new Date() - asked)));
  }

  function connect() {
    if (source || paused || document.hidden) return;
    source = new EventSource("/events");
    source.onopen = () => { tell(); changed(); };
    source.addEventListener("change", changed);
    source.onerror = () => {
      const closed = source.readyState === 2;
      tell();
      if (closed) { source = null; changed(); setTimeout(connect, 5000); } // refused: asking for the page tells why
    };
  }
  function disconnect() {
    if (source) source.close();
    source = null;
  }

  pause.hidden = false;
  pause.addEventListener("click", () => {
    paused = !paused;
    sessionStorage.setItem("paused", paused ? "1" : "0");
    if (paused) disconnect(); else { connect(); changed(); }
    tell();
  });
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) disconnect(); else { connect(); changed(); }
  });
  addEventListener("pagehide", disconnect);
  addEventListener("pageshow", (e) => { if (e.persisted) { connect(); changed(); } });
  setInterval(changed, 15000); // ages in words grow without an event
  if (paused) tell();
  connect();
})();
