// Comfort for pages that are complete without it: copying, looking again when something changed, starting and following a run.
// Nothing is kept in the browser but in this page's memory.
"use strict";
(() => {
  const main = document.querySelector("main");
  const live = document.getElementById("live");
  let token = null; // of whoever starts runs
  let following = null; // the run that was started here, as the API shows it
  let events = null;
  let stopping = null; // the run that was asked to end here

  const element = (name, text, attributes) => {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    for (const [key, value] of Object.entries(attributes || {})) made.setAttribute(key, value);
    return made;
  };

  // Copying.

  const copied = async (text) => {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      // Not offered to pages without TLS: the old way, by a selection.
      const area = element("textarea", text, { readonly: "", "aria-hidden": "true", class: "visually-hidden" });
      document.body.append(area);
      area.select();
      const done = document.execCommand("copy");
      area.remove();
      return done;
    }
  };

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button.copy");
    if (!button) return;
    const done = await copied(button.closest(".curl").querySelector("code").textContent);
    button.focus();
    button.textContent = done ? "Copied" : "Not copied";
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });

  // What the script adds to what the server wrote; again after each look.

  const ago = (seconds) => {
    const abs = Math.abs(seconds);
    const [count, unit] = abs < 60 ? [abs, "s"] : abs < 3600 ? [abs / 60, "min"] : abs < 172800 ? [abs / 3600, "h"] : [abs / 86400, "days"];
    const words = `${Math.floor(count)} ${unit}`;
    return seconds < 0 ? `in ${words}` : `${words} ago`;
  };
  // By the server's clock: the client's may be wrong.
  let ahead = Date.parse(main.dataset.now) - Date.now();
  const tick = () => {
    for (const told of document.querySelectorAll("[data-ago]")) {
      // Either the moment itself, or what stands in brackets behind it.
      const isMoment = told.matches("time");
      const at = Date.parse((isMoment ? told : told.previousElementSibling).dateTime);
      const words = ago(Math.trunc((Date.now() + ahead - at) / 1000));
      told.textContent = isMoment ? words : `(${words})`;
    }
  };

  // A button that is disabled loses the focus, and with it the place of whoever uses keys.
  const hold = (button, isHeld) => button.setAttribute("aria-disabled", isHeld);
  const isHeld = (button) => button.getAttribute("aria-disabled") === "true";

  const enhance = () => {
    for (const code of document.querySelectorAll("code[data-api]")) {
      const before = code.dataset.before || "curl";
      code.textContent = `${before} '${location.origin}${code.dataset.api}'`;
    }
    for (const button of document.querySelectorAll("button.copy")) button.hidden = false;
    const start = document.getElementById("start-run");
    if (start) {
      start.querySelector(".curl").hidden = true;
      const button = start.querySelector("button[data-start]");
      button.hidden = false;
      hold(button, isActive(following));
    }
    const stop = document.getElementById("stop-run");
    if (stop) {
      stop.querySelector(".curl").hidden = true;
      const button = stop.querySelector("button[data-stop]");
      button.hidden = false;
      hold(button, stopping === button.dataset.stop);
      if (isHeld(button)) stop.querySelector("#stop-state").textContent = "Asked to end; it does so in a moment.";
    }
    const followed = main.querySelector("[data-follow]")?.dataset;
    if (followed && following?.id !== followed.follow) followRun({ id: followed.follow, state: followed.state });
    showRun();
    tick();
  };

  // Looking again.

  // What is the same thing before and after: by what it is and does, not by where it stands.
  const key = (node) => [node.tagName, node.id, ...["class", "href", "name", "aria-label", "data-api"].map((name) => node.getAttribute(name))].join("\n");
  const alike = (wanted, tag) => Array.from(main.getElementsByTagName(tag)).filter((node) => key(node) === wanted);
  const mark = (node) => {
    const wanted = key(node);
    const index = alike(wanted, node.tagName).indexOf(node);
    return () => alike(wanted, node.tagName)[index];
  };

  const isTouched = (form) => Array.from(form.elements).some((field) =>
    field === document.activeElement && field.matches("input, select, textarea") ||
    "defaultValue" in field && field.type !== "hidden" && field.value !== field.defaultValue ||
    "defaultChecked" in field && field.checked !== field.defaultChecked ||
    field.options && Array.from(field.options).some((option) => option.selected !== option.defaultSelected) &&
      Array.from(field.options).some((option) => option.defaultSelected));

  // Draws the page anew; false where that cannot be, and what is shown is out of date.
  let looks = 0;
  const look = async () => {
    const mine = ++looks;
    const answer = await fetch(location.href, { headers: { accept: "text/html" }, cache: "no-store" });
    const text = await answer.text();
    // Whoever looked later knows better.
    if (mine !== looks) return true;
    const page = new DOMParser().parseFromString(text, "text/html");
    const fresh = page.querySelector("main");
    if (!fresh || fresh.dataset.view !== main.dataset.view) {
      // What was not to be had is there now.
      if (fresh && main.dataset.view === "failure") location.reload();
      return false;
    }
    const focused = main.contains(document.activeElement) && main !== document.activeElement ? mark(document.activeElement) : null;
    const opened = Array.from(main.querySelectorAll("details"), (details) => [mark(details), details.open]);
    const scrolled = Array.from(main.querySelectorAll(".scroll, pre, code"), (box) => {
      // Whoever reads the end of a log goes on reading its end.
      const isAtEnd = box.matches("pre") && box.scrollTop > 0 && box.scrollTop + box.clientHeight >= box.scrollHeight - 2;
      return [mark(box), box.scrollLeft, isAtEnd ? Number.MAX_SAFE_INTEGER : box.scrollTop];
    });
    const forms = Array.from(main.querySelectorAll("form")).filter(isTouched).map((form) => [mark(form), form]);
    const [x, y] = [scrollX, scrollY];
    main.replaceChildren(...fresh.childNodes);
    for (const name of ["data-live", "data-version", "data-now"]) {
      if (fresh.hasAttribute(name)) main.setAttribute(name, fresh.getAttribute(name));
    }
    ahead = Date.parse(main.dataset.now) - Date.now();
    const [line, freshLine] = [document, page].map((of) => of.querySelector(".foot code"));
    if (line && freshLine) line.dataset.api = freshLine.dataset.api;
    for (const [found, form] of forms) found()?.replaceWith(form);
    for (const [found, open] of opened) {
      const details = found();
      if (details) details.open = open;
    }
    enhance();
    for (const [found, left, top] of scrolled) found()?.scrollTo(left, top);
    if (focused) {
      const again = focused();
      again?.focus({ preventScroll: true });
      // What had the focus is gone: whoever uses keys goes on from here, and not from the top of the window.
      if (!again || document.activeElement !== again) main.focus({ preventScroll: true });
    }
    scrollTo(x, y);
    return true;
  };

  const pause = (milliseconds) => new Promise((resume) => setTimeout(resume, milliseconds));

  const say = (state, words) => {
    live.hidden = false;
    live.dataset.state = state;
    // What is said again is read out again.
    if (live.textContent !== words) live.textContent = words;
  };

  let watching = null; // ends the waiting of a page that nobody looks at
  const watch = async () => {
    const mine = watching = new AbortController();
    while (!mine.signal.aborted) {
      try {
        const answer = await fetch(`/page/live?held=${main.dataset.live}`, { signal: mine.signal, cache: "no-store" });
        // The session has ended: the page shows the sign-in form in its place.
        if (answer.status === 401) return location.reload();
        if (!answer.ok) throw new Error(String(answer.status));
        const now = await answer.text();
        const isDrawn = now === main.dataset.live || await look();
        if (mine.signal.aborted) return;
        say(isDrawn ? "on" : "stale", isDrawn ? "Live" : "Out of date");
        // What is refused stays so until something changes; a server that cannot answer yet may at any time.
        const isRefused = main.dataset.view === "failure" && !main.querySelector("[data-status='503']");
        if (isRefused) main.dataset.live = now;
        // A page that could not be drawn anew is tried again, and not at once.
        else if (now !== main.dataset.live) await pause(5000);
      } catch {
        if (mine.signal.aborted) return;
        say("lost", "Connection lost");
        await pause(3000);
      }
    }
  };
  if (main.dataset.live) {
    const follow = () => {
      watching?.abort();
      if (document.hidden) return;
      say("on", "Live");
      watch();
    };
    document.addEventListener("visibilitychange", follow);
    addEventListener("pagehide", () => { watching?.abort(); events?.close(); });
    // What was left and comes back has missed what happened, and must not hold the token any more.
    addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
    follow();
  }
  setInterval(tick, 10000);

  // A run's log grows while the state of the lake stays what it is.
  setInterval(() => {
    const isReading = !getSelection().isCollapsed;
    if (main.querySelector("[data-follow]") && !document.hidden && !isReading) look().catch(() => {});
  }, 2000);

  // Runs.

  const isActive = (run) => run !== null && (run.state === "pending" || run.state === "running");

  function showRun() {
    const state = document.getElementById("run-state");
    if (!state || following === null) return;
    if (following.refusal) {
      state.textContent = following.refusal;
      state.dataset.state = "refused";
      return;
    }
    state.dataset.state = following.state;
    state.dataset.runId = following.id;
    const link = element("a", following.id, { href: `/page/runs/${encodeURIComponent(following.id)}` });
    const counts = following.counts;
    const did = counts ? `: ${counts.added} added, ${counts.changed} changed, ${counts.removed} removed` : "";
    const joined = following.joined ? " (it was under way already)" : "";
    state.replaceChildren("Run ", link, ` ${following.state}${did}${isActive(following) ? joined : ""}`);
  }

  const followRun = (run) => {
    following = run;
    enhance();
    events?.close();
    if (!isActive(run)) return void look();
    events = new EventSource(`/runs/${encodeURIComponent(run.id)}/events`);
    events.addEventListener("error", () => {
      // One that goes on trying is not closed; a server that refuses closes it, and then only a look tells.
      if (events.readyState !== EventSource.CLOSED) return;
      following = null;
      enhance();
      look();
    });
    events.addEventListener("state", (event) => {
      following = { ...JSON.parse(event.data), joined: run.joined };
      if (isActive(following)) return enhance();
      events.close();
      enhance();
      look();
    });
  };

  const askForToken = (again) => new Promise((answered) => {
    const dialog = document.getElementById("token-dialog");
    const field = dialog.querySelector("input");
    dialog.querySelector("[data-wrong]").hidden = !again;
    field.value = "";
    dialog.onclose = () => {
      const given = dialog.returnValue === "send" ? field.value.trim() : "";
      field.value = "";
      answered(given || null);
    };
    dialog.returnValue = "";
    dialog.showModal();
    field.focus();
  });

  // The answer to a request that the button stands for; none where nobody gave the token that it needs.
  const send = async (button, path, options) => {
    if (isHeld(button)) return null;
    const needsToken = button.parentElement.dataset.needsToken !== undefined;
    if (needsToken && token === null && (token = await askForToken(false)) === null) return null;
    for (;;) {
      hold(button, true);
      const headers = { ...options.headers };
      if (token !== null) headers.authorization = `Bearer ${token}`;
      const answer = await fetch(path, { ...options, headers });
      const body = await answer.json();
      if (answer.status !== 401) return { body, refusal: answer.ok ? null : `${body.title}: ${body.detail}` };
      token = await askForToken(token !== null);
      if (token === null) return null;
    }
  };

  const startRun = async (button) => {
    const headers = { "content-type": "application/json" };
    const answer = await send(button, "/data", { method: "POST", headers, body: JSON.stringify({ mode: button.dataset.start }) });
    if (answer === null) return enhance();
    if (answer.refusal) {
      following = answer;
      return enhance();
    }
    const known = Array.from(document.querySelectorAll("[data-active-run]"), (node) => node.dataset.activeRun);
    followRun({ ...answer.body, joined: known.includes(answer.body.id) });
  };

  const stopRun = async (button) => {
    const id = button.dataset.stop;
    const answer = await send(button, `/runs/${encodeURIComponent(id)}`, { method: "DELETE" });
    if (answer !== null && !answer.refusal) stopping = id;
    enhance();
    const state = document.getElementById("stop-state");
    if (state && answer?.refusal) state.textContent = answer.refusal;
  };

  document.addEventListener("click", (event) => {
    const start = event.target.closest("#start-run button[data-start]");
    const stop = event.target.closest("#stop-run button[data-stop]");
    const silence = "The server did not answer. Try again in a moment.";
    if (start) {
      startRun(start).catch(() => {
        following = { refusal: silence };
        enhance();
      });
    }
    if (stop) {
      stopRun(stop).catch(() => {
        enhance();
        document.getElementById("stop-state").textContent = silence;
      });
    }
  });

  // After a link on another site, the browser sends the session cookie only with a request of this page itself.
  if (document.querySelector("#problem[data-again]")) location.replace(location.pathname + location.search);

  enhance();
})();
