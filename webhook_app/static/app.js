// What JavaScript adds to the pages: they refresh, times tick, shortcuts work, text can be copied.
// Every page works without it. No inline code and no eval: the Content-Security-Policy allows neither.
"use strict";
(() => {
  const find = (selector, within = document) => within.querySelector(selector);
  const all = (selector) => [...document.querySelectorAll(selector)];
  const show = (element) => { if (element) element.hidden = false; };

  // --- The clock is the server's at the last refresh, plus what has passed since then. This computer's clock may be wrong.
  let served = 0, measured = performance.now(), wall = Date.now();
  const clock = () => served + performance.now() - measured;
  const synchronise = () => {
    const now = Number(find("#header")?.dataset.now || document.body.dataset.now || 0);
    if (!now || now === served) return;
    [served, measured, wall] = [now, performance.now(), Date.now()];
  };
  // The computer slept, or its clock was changed: only the server knows what time it is.
  const isAstray = () => {
    const drift = Date.now() - wall - (performance.now() - measured);
    wall += drift;
    return Math.abs(drift) > 2000;
  };

  // --- Times: worded as in worker/durations.py.
  const since = (ms) => ms < 6e4 ? `${Math.floor(ms / 1e3)} s` : ms < 36e5 ? `${Math.floor(ms / 6e4)} min`
    : ms < 1728e5 ? `${Math.floor(ms / 36e5)} h` : `${Math.floor(ms / 864e5)} d`;
  const words = (ms) => Math.abs(ms) < 1e3 ? "now" : ms > 0 ? `in ${since(ms)}` : `${since(-ms)} ago`;
  const tick = () => all("time[data-at]").forEach((time) => {
    const ms = time.dataset.at - clock();
    // Nobody knows whether it still lasts while the page is out of date.
    if ("lasts" in time.dataset && failing.size) return;
    const text = "lasts" in time.dataset ? since(Math.max(-ms, 0)) : "due" in time.dataset && ms <= 0 ? "due" : words(ms);
    if (time.textContent !== text) time.textContent = text;
  });

  // --- Refreshing: the body gets a "poll" event, and elements listen to it (hx-trigger="poll from:body").
  const EVERY = 5000, LONGEST = 60000, OUTDATED = "(out of date) ";
  const version = document.body.dataset.version;
  // The parts of the page whose last refresh failed, and why; and when the first one failed.
  const failing = new Map();
  let wait = EVERY, paused = false, outdated = 0, timer;
  const plan = (ms) => { clearTimeout(timer); timer = setTimeout(poll, ms * (0.9 + Math.random() / 5)); };
  const poll = () => {
    if (!document.hidden && !paused && window.htmx) htmx.trigger(document.body, "poll");
    plan(wait);
  };
  const freshness = () => {
    const text = find("#live-text");
    if (!text) return;
    show(find("#live"));
    const [why] = failing.values(), at = new Date(outdated).toISOString().slice(11, 19);
    text.textContent = why ? `Out of date since ${at} UTC: ${why}` : paused ? "not refreshing" : "live";
    find("#live-button").textContent = paused ? "Start refreshing" : "Stop refreshing";
    find(".freshness").classList.toggle("stale", failing.size > 0);
    const title = document.title.replace(OUTDATED, "");
    document.title = why ? OUTDATED + title : title;
  };
  const reason = (status) => status === 401 ? "you are signed out. Reload to sign in."
    : status === 503 ? "Redis is unavailable. Trying again." : "the server does not answer. Trying again.";
  // What a person is about to send, or has opened, stays.
  const isDirty = (input) => input.type === "checkbox" ? input.checked !== input.defaultChecked : input.value !== input.defaultValue;
  const isBusy = (element) => element.querySelector("details.confirm[open], dialog[open]") !== null
    || [...element.querySelectorAll("input, textarea")].some((input) => isDirty(input) || input === document.activeElement);
  // A new version of this page, or a new session: load the page again.
  let renewing = false;
  const renew = () => {
    if (renewing) return;
    renewing = !isBusy(find("main"));
    if (renewing) location.reload();
    else find("#live-text").textContent = "A new version is running. Reload when you are done.";
  };
  const polled = (event) => event.detail.requestConfig?.triggeringEvent?.type === "poll";
  document.addEventListener("htmx:afterRequest", (event) => {
    if (!polled(event)) return;
    const part = event.detail.requestConfig.path.split("?")[0], before = failing.get(part);
    if (event.detail.successful) failing.delete(part);
    else {
      if (!failing.size) outdated = served;
      failing.set(part, reason(event.detail.xhr.status));
    }
    wait = failing.size ? Math.min(wait * 2, LONGEST) : EVERY;
    plan(wait);
    freshness();
    if (event.detail.successful && before === reason(401)) renew();
  });
  document.addEventListener("htmx:configRequest", (event) => {
    event.detail.headers["X-CSRF-Token"] = find("meta[name=csrf]")?.content || "";
  });
  document.addEventListener("visibilitychange", () => { if (!document.hidden) poll(); });

  // --- After loading and after each refresh. The focus stays where it was.
  let focused = "";
  const opened = new Set();
  document.addEventListener("toggle", (event) => {
    if (event.target.id) opened[event.target.open ? "add" : "delete"](event.target.id);
  }, true);
  document.addEventListener("htmx:oobBeforeSwap", (event) => {
    if (isBusy(event.detail.target)) event.detail.shouldSwap = false;
    focused = document.activeElement.id || focused;
  });
  document.addEventListener("htmx:beforeSwap", () => { focused = document.activeElement.id || focused; });
  const settle = () => {
    synchronise();
    if (version && (find("#header")?.dataset.version || version) !== version) renew();
    opened.forEach((id) => { const details = document.getElementById(id); if (details) details.open = true; });
    if (navigator.clipboard) all("[data-copy]").forEach(show);
    all("[data-close]").forEach(show);
    tick();
    freshness();
    if (focused && document.activeElement === document.body) document.getElementById(focused)?.focus();
    focused = "";
  };
  document.addEventListener("htmx:afterSettle", settle);

  // --- Clicks.
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button, summary");
    all("details.confirm[open]").forEach((open) => { if (!open.contains(event.target)) open.open = false; });
    if (!button) return;
    if (button.id === "live-button") { paused = !paused; freshness(); if (!paused) poll(); }
    if (button.id === "keys-button") find("#keys").showModal();
    if ("close" in button.dataset) { const box = button.closest("details"); box.open = false; find("summary", box).focus(); }
    if ("copy" in button.dataset) navigator.clipboard.writeText(find("pre", button.parentElement).textContent).then(() => {
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    });
  });

  // --- A button whose answer takes seconds says so until the next page is there, or this one is shown again.
  document.addEventListener("submit", (event) => {
    const button = event.submitter;
    if (!button?.dataset.busy) return;
    button.dataset.text = button.textContent;
    button.textContent = button.dataset.busy;
    button.setAttribute("aria-busy", "true");
    const status = find(".flashes");
    if (status) status.textContent = button.dataset.busy;
  });
  window.addEventListener("pageshow", () => all("[aria-busy][data-text]").forEach((button) => {
    button.textContent = button.dataset.text;
    button.removeAttribute("aria-busy");
  }));

  // --- Shortcuts. They can be disabled, for people who use speech input.
  const stored = () => { try { return localStorage.getItem("keys") !== "off"; } catch { return true; } };
  const move = (by) => {
    const rows = all(".rows tbody tr a[href]:first-of-type").filter((link, place, links) => links.findIndex((other) => other.closest("tr") === link.closest("tr")) === place);
    const here = rows.findIndex((link) => link.closest("tr").contains(document.activeElement));
    rows[here < 0 ? (by > 0 ? 0 : rows.length - 1) : Math.min(Math.max(here + by, 0), rows.length - 1)]?.focus();
  };
  let after = "";
  document.addEventListener("keydown", (event) => {
    const open = find("details.confirm[open]");
    if (event.key === "Escape" && open) { open.open = false; find("summary", open).focus(); }
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input:not([type=checkbox]), select, textarea") || !find("#keys-on")?.checked || find("dialog[open]")) return;
    const key = after + event.key;
    after = event.key === "g" ? "g" : "";
    if (key === "?") find("#keys").showModal();
    else if (key === "/" && find("[data-search]")) { event.preventDefault(); find("[data-search]").select(); find("[data-search]").focus(); }
    else if (key === "j") move(1);
    else if (key === "k") move(-1);
    else if (key.length === 2) find(`[data-go="${CSS.escape(key[1])}"]`)?.click();
  });

  settle();
  setInterval(() => { if (isAstray()) poll(); tick(); }, 1000);
  if (find("#keys")) {
    show(find("#keys-button"));
    find("#keys-on").checked = stored();
    find("#keys-on").addEventListener("change", (event) => localStorage.setItem("keys", event.target.checked ? "on" : "off"));
    plan(EVERY);
  }
})();
